// A page of a list in XML, through pugixml.
#pragma once

#include <pugixml.hpp>
#include <string>
#include <string_view>

#include "common/http_client/failure.hpp"

namespace otagate::common {

// The name without a namespace prefix: some servers write s3:Contents.
std::string_view local_name(const pugi::xml_node& node);

std::string_view text_of(const pugi::xml_node& node);

// The root of a page, which is called `root`. `xml` is parsed in place and destroyed, and lives as long as
// `document`. Anything else is OTAGATE_PERMANENT; `server` is what 'endpoint' should lead to ("an S3
// server").
Outcome<pugi::xml_node> load_list(pugi::xml_document& document, std::string& xml, std::string_view root,
                                  std::string_view server);

}  // namespace otagate::common
