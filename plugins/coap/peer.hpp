// Peers, as this plugin calls them.
#pragma once

#include "common/network/peer.hpp"

namespace otagate::coap {

using plugins::hash_bytes;
using plugins::ListenAddress;
using plugins::NetworkSet;
using plugins::parse_listen;
using plugins::Peer;
using plugins::peer_of;
using plugins::PeerHash;
using plugins::to_string;

}  // namespace otagate::coap
