#include <algorithm>
#include <map>
#include <utility>

#include "config/sections.hpp"
#include "core/digest.hpp"

namespace otagate::config {

namespace {

constexpr std::size_t kMaxInstances = 1000;  // per kind
const std::vector<std::string> kRequires = {"none", "length", "format", "digest", "signature"};

// There is nothing yet to check a signature with: such firmware would all be refused, one download each.
void refuse_signature(TableReader& reader, std::string_view key, Require level) {
  if (level != Require::signature) return;
  reader.problem(key, "asks for signatures, but this version has no keys to check them with",
                 "write \"digest\"; devices verify signatures themselves");
}

bool valid_instance_name(std::string_view name) {
  return !name.empty() && name.size() <= 63 && name.front() != '-' &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

// The reader of one instance, under its name if it has a usable one, else under its number.
class InstanceReader : public TableReader {
 public:
  InstanceReader(const Value& table, std::string_view kind, std::size_t number, ReadContext& context)
      : TableReader(&table, path_of(table, kind, number), context), kind_(kind) {}

  void name(std::string& out) {
    const std::size_t max = 63;
    text("name", out, max);
    if (!has("name"))
      problem("name", "is missing", "give it a name of a-z, 0-9 and '-', for example name = \"main\"");
    else if (!out.empty() && !valid_instance_name(out))
      problem("name", "is not usable as a name",
              "use only a-z, 0-9 and '-', and begin with a letter or digit");
  }

  void plugin(std::string& out, std::string_view example) {
    text("plugin", out, 63);
    if (!has("plugin"))
      problem("plugin", "is missing", "write for example plugin = \"" + std::string(example) + '"');
    else if (!valid_instance_name(out) && !out.empty())
      problem("plugin", "is not the name of a plugin",
              "write for example plugin = \"" + std::string(example) + '"');
  }

  void isolation(std::string& out) {
    const Value* value = raw("isolation");
    if (!value) return;
    if (const std::string* text = value->as_string(); text && *text == "process")
      problem("isolation", "plugins in a process of their own are not supported by this version",
              "write isolation = \"inline\" or remove the line");
    else if (choice("isolation", {"inline"}))
      out = "inline";
  }

  void options(Value& out, bool read_secrets) {
    const Value* value = raw("options");
    if (!value) return;
    if (!value->is_table())
      return problem("options", "is " + std::string(value->type_name()),
                     "write [" + kind_ + ".options] below it");
    out = *value;
    if (read_secrets) fingerprint(out);
  }

 private:
  static std::string path_of(const Value& table, std::string_view kind, std::size_t number) {
    const Value* name = table.get("name");
    if (name && name->is_string() && valid_instance_name(*name->as_string()))
      return std::string(kind) + '.' + *name->as_string();
    return std::string(kind) + '[' + std::to_string(number) + ']';
  }

  // Which options are secrets is known only to the plugin's schema, later; but a reload must notice a
  // rotated secret now.
  static void fingerprint(Value& value) {
    if (Value::Array* items = value.as_array())
      for (Value& item : *items) fingerprint(item);
    Value::Table* table = value.as_table();
    if (!table) return;
    if (const Result<SecretSource> source = parse_secret_source(value)) {
      if (const Result<SecretText> text = read_secret(*source))
        value.set_fingerprint(Sha256::of(text->secret.reveal()).hex());
      return;
    }
    for (Member& member : *table) fingerprint(member.value);
  }

  std::string kind_;
};

void read_index(TableReader& reader, Store& store, ReadContext& context) {
  const Value* value = reader.raw("index");
  if (!value) return;
  static constexpr std::string_view kAdvice = "write index = \"c8y\" or index = [{ kind = \"c8y\" }]";
  if (value->is_string()) {
    if (reader.choice("index", {"c8y"})) store.index = {StoreIndex{}};
    return;
  }
  const Value::Array* items = value->as_array();
  if (!items || items->size() > 16)
    return reader.problem("index",
                          items ? "has more than 16 entries" : "is " + std::string(value->type_name()),
                          std::string(kAdvice));
  for (const Value& item : *items) {
    if (!item.is_table()) {
      reader.problem_at(item, "index", "has " + std::string(item.type_name()) + " in it",
                        std::string(kAdvice));
      continue;
    }
    StoreIndex index;
    TableReader entry(&item, reader.path() + ".index", context);
    entry.choice("kind", {"c8y"});
    entry.text("firmware", index.firmware);
    entry.text("versions", index.versions);
    if (index.firmware.empty() || index.versions.empty())
      entry.problem("versions", "the key of an index file is empty", "remove the line or name the object");
    entry.done();
    store.index.push_back(std::move(index));
  }
}

void read_retry(TableReader reader, Retry& retry) {
  reader.integer("attempts", retry.attempts, 1, 100);
  reader.duration("initial", retry.initial, 10ms, 1h);
  reader.duration("max", retry.max, 10ms, 24h);
  if (retry.max < retry.initial) reader.problem("max", "is shorter than initial", "make it at least as long");
  reader.done();
}

void read_assignments(TableReader reader, StoreAssignments& assignments) {
  reader.boolean("enabled", assignments.enabled);
  reader.texts("devices", assignments.devices, 10'000);
  reader.texts("types", assignments.types);
  reader.texts("tags", assignments.tags);
  reader.boolean("local_wins", assignments.local_wins);
  reader.integer("attempts", assignments.attempts, 1, 100);
  reader.boolean("downgrade", assignments.downgrade);
  reader.done();
}

Store read_store(InstanceReader reader, ReadContext& context) {
  Store store;
  store.where = reader.where();
  reader.name(store.name);
  reader.plugin(store.plugin, "directory");
  reader.boolean("enabled", store.enabled);
  reader.integer("priority", store.priority, -1'000'000, 1'000'000);
  reader.duration("interval", store.interval, 10s, 30 * 24h);
  if (const auto level = reader.choice("require", kRequires)) store.require = static_cast<Require>(*level);
  refuse_signature(reader, "require", store.require);
  const Value* types = reader.raw("require_types");
  TableReader by_type(types, reader.path() + ".require_types", context);
  if (types && types->is_table())
    for (const Member& member : *types->as_table())
      if (const auto level = by_type.choice(member.key, kRequires)) {
        store.require_types[member.key] = static_cast<Require>(*level);
        refuse_signature(by_type, member.key, static_cast<Require>(*level));
      }
  reader.texts("pattern", store.pattern, 32);
  read_index(reader, store, context);
  if (const auto use = reader.choice("metadata", {"unmatched", "always", "never"}))
    store.metadata = static_cast<MetadataUse>(*use);
  reader.boolean("prefetch", store.prefetch);
  reader.boolean("stream_unverified", store.stream_unverified);
  reader.rate("bandwidth", store.bandwidth);
  reader.duration("timeout", store.timeout, 1s, 1h);
  read_retry(TableReader(reader.raw("retry"), reader.path() + ".retry", context), store.retry);
  reader.boolean("redirect", store.redirect);
  reader.duration("expiry", store.expiry, 1min, 7 * 24h);
  read_assignments(TableReader(reader.raw("assignments"), reader.path() + ".assignments", context),
                   store.assignments);
  reader.isolation(store.isolation);
  reader.options(store.options, context.read_secrets);
  const bool checked = store.require > Require::length || !store.require_types.empty();
  if (store.redirect && checked)
    reader.problem("redirect", "sends devices past the gateway, so require cannot be kept",
                   "write redirect = false, or remove require and require_types");
  reader.done();
  return store;
}

Transport read_transport(InstanceReader reader, ReadContext& context) {
  Transport transport;
  transport.where = reader.where();
  reader.name(transport.name);
  reader.plugin(transport.plugin, "http");
  reader.boolean("enabled", transport.enabled);
  reader.isolation(transport.isolation);
  reader.options(transport.options, context.read_secrets);
  reader.done();
  return transport;
}

Credential read_credential(InstanceReader reader, ReadContext& context) {
  Credential credential;
  credential.where = reader.where();
  reader.name(credential.name);
  const auto kind = reader.choice("kind", {"token", "basic"});
  if (kind) credential.kind = static_cast<Credential::Kind>(*kind);
  if (!reader.has("kind")) reader.problem("kind", "is missing", "write kind = \"token\" or kind = \"basic\"");
  reader.text("user", credential.user, 128);
  if (kind && credential.kind == Credential::Kind::basic && credential.user.empty())
    reader.problem("user", "is missing", "a basic credential needs user = \"...\"");
  if (kind && credential.kind == Credential::Kind::token && !credential.user.empty())
    reader.problem("user", "means nothing for a token", "remove it, or write kind = \"basic\"");
  // RFC 7617: the user ends at the first colon.
  if (credential.user.find(':') != std::string::npos)
    reader.problem("user", "contains a colon", "HTTP Basic does not allow that");
  reader.secret("secret", credential.secret, credential.secret_source);
  if (!reader.has("secret"))
    reader.problem("secret", "is missing",
                   "write secret = { file = \"/etc/otagate/" + credential.name + "\" }");
  const std::size_t shortest = credential.kind == Credential::Kind::token ? 16 : 8;
  if (context.read_secrets && !credential.secret.empty() && credential.secret.reveal().size() < shortest)
    reader.problem("secret", "is shorter than " + std::to_string(shortest) + " bytes",
                   "make one with: openssl rand -hex 32");
  std::string text;
  reader.text("device", text, 128);
  if (!text.empty()) credential.device = std::exchange(text, {});
  reader.text("type", text, 64);
  if (!text.empty()) credential.type = text;
  if (credential.device.has_value() == credential.type.has_value())
    reader.problem(credential.device ? "type" : "device",
                   credential.device ? "device and type are both given" : "device and type are both missing",
                   "bind the credential with device = \"id\" or with type = \"...\" (\"*\" is any type)");
  reader.texts("stores", credential.stores);
  reader.texts("types", credential.types);
  reader.boolean("gateway", credential.gateway);
  reader.done();
  return credential;
}

Webhook read_webhook(InstanceReader reader, ReadContext& context) {
  Webhook webhook;
  webhook.where = reader.where();
  reader.name(webhook.name);
  reader.boolean("enabled", webhook.enabled);
  reader.text("url", webhook.url, 2048);
  const bool http = webhook.url.starts_with("http://");
  if (!http && !webhook.url.starts_with("https://"))
    reader.problem("url", reader.has("url") ? "is no http or https URL" : "is missing",
                   "write url = \"https://...\"");
  reader.secret("secret", webhook.secret, webhook.secret_source);
  if (context.read_secrets && !webhook.secret.empty() && webhook.secret.reveal().size() < 16)
    reader.problem("secret", "is shorter than 16 bytes", "make one with: openssl rand -hex 32");
  if (!reader.has("secret"))
    context.warnings.push_back({webhook.where, "webhook." + webhook.name + ".secret",
                                "is not given, so the receiver cannot tell who posts to it",
                                "write secret = { file = \"/etc/otagate/" + webhook.name + "\" }"});
  reader.path("ca_file", webhook.ca_file);
  reader.duration("timeout", webhook.timeout, 1s, 5min);
  reader.texts("events", webhook.events, 64);
  if (webhook.events.empty())
    reader.problem("events", "is empty", "write events = [\"deployment.\", \"attempt.\"], or \"*\" for all");
  reader.done();
  return webhook;
}

template <class Instance>
void report_twice(const std::vector<Instance>& instances, std::string_view kind, ReadContext& context) {
  std::map<std::string_view, const Instance*> seen;
  for (const Instance& instance : instances) {
    if (instance.name.empty()) continue;
    const auto [first, fresh] = seen.emplace(instance.name, &instance);
    if (!fresh)
      context.problems.push_back({instance.where, std::string(kind) + '.' + instance.name,
                                  "the name is already used at " + first->second->where.to_string(),
                                  "give one of the two another name"});
  }
}

// Two credentials that nobody could tell apart would make the answer depend on the order of files.
void check_credentials(const Config& config, ReadContext& context) {
  const std::vector<Credential>& all = config.credentials;
  std::map<std::string_view, const Credential*> tokens, users;
  for (const Credential& credential : all) {
    const bool basic = credential.kind == Credential::Kind::basic;
    const std::string_view key = basic ? std::string_view(credential.user) : credential.secret.reveal();
    if (!key.empty()) {
      const auto [first, fresh] = (basic ? users : tokens).emplace(key, &credential);
      if (!fresh)
        context.problems.push_back({credential.where, "credential." + credential.name,
                                    "has the same " + std::string(basic ? "user" : "token") +
                                        " as credential." + first->second->name + " at " +
                                        first->second->where.to_string(),
                                    "give each its own"});
    }
    for (const std::string& store : credential.stores)
      if (!config.find_store(store) && store != "local") {
        std::vector<std::string> names{"local"};
        for (const Store& known : config.stores) names.push_back(known.name);
        const std::string meant = did_you_mean(store, names);
        context.problems.push_back({credential.where, "credential." + credential.name + ".stores",
                                    "there is no store \"" + store.substr(0, 64) + '"',
                                    meant.empty() ? "" : "did you mean \"" + meant + "\"?"});
      }
  }
}

// The tables of [[kind]].
template <class Read>
void each(TableReader& root, const std::string& kind, ReadContext& context, Read read) {
  const Value* value = root.raw(kind);
  if (!value) return;
  const Value::Array* items = value->as_array();
  if (!items)
    return root.problem(kind, "is " + std::string(value->type_name()) + ", not a list",
                        "write [[" + kind + "]] with two brackets");
  if (items->size() > kMaxInstances)
    return root.problem(kind, "is given more than " + std::to_string(kMaxInstances) + " times",
                        "remove some");
  std::size_t number = 0;
  for (const Value& item : *items) {
    ++number;
    if (item.is_table())
      read(InstanceReader(item, kind, number, context));
    else
      root.problem_at(item, kind, "has " + std::string(item.type_name()) + " in it",
                      "write [[" + kind + "]] with two brackets");
  }
}

}  // namespace

void read_instances(TableReader& root, Config& config, ReadContext& context) {
  each(root, "store", context,
       [&](InstanceReader reader) { config.stores.push_back(read_store(std::move(reader), context)); });
  each(root, "transport", context, [&](InstanceReader reader) {
    config.transports.push_back(read_transport(std::move(reader), context));
  });
  each(root, "credential", context, [&](InstanceReader reader) {
    config.credentials.push_back(read_credential(std::move(reader), context));
  });
  each(root, "webhook", context,
       [&](InstanceReader reader) { config.webhooks.push_back(read_webhook(std::move(reader), context)); });
  report_twice(config.webhooks, "webhook", context);
  report_twice(config.stores, "store", context);
  report_twice(config.transports, "transport", context);
  report_twice(config.credentials, "credential", context);
  for (const Store& store : config.stores)
    if (store.name == "local")
      context.problems.push_back({store.where, "store.local",
                                  "is the name of the built-in store of imported firmware",
                                  "give the store another name"});
  check_credentials(config, context);
}

}  // namespace otagate::config
