#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>

#include "commands.hpp"
#include "device_arguments.hpp"
#include "fleet_tables.hpp"
#include "json_access.hpp"

namespace otagate::cli {

namespace {

constexpr std::size_t kMostImport = 4 << 20;  // what the daemon takes in one request

struct Options {
  DeviceFilter filter;
  bool csv = false;
  DeviceArguments device;
  std::vector<std::string> ids;
  std::vector<std::string> add_tags, remove_tags;
  std::string file, format;
  bool revoke = false;
};

// "application 1.0.0, modem 2.1".
std::string versions_text(const boost::json::value& device) {
  const auto* versions = member(device, "versions").if_object();
  std::string all;
  if (versions == nullptr) return all;
  for (const auto& [component, version] : *versions) {
    all +=
        (all.empty() ? "" : ", ") + printable(component) + " " + text(member(device, "versions"), component);
  }
  return all;
}

std::string tags_text(const boost::json::value& device) {
  std::string all;
  for (const boost::json::value& tag : items(device, "tags"))
    if (tag.is_string()) all += (all.empty() ? "" : " ") + printable(std::string_view(tag.as_string()));
  return all;
}

// "hawkbit", or "hawkbit (modem)" where it is not the application.
std::string assigned_text(const boost::json::value& device) {
  const auto* stores = member(device, "assigned_by").if_object();
  std::string all;
  if (stores == nullptr) return all;
  for (const auto& [component, store] : *stores) {
    const std::string of = component == "application" ? "" : " (" + printable(component) + ")";
    all += (all.empty() ? "" : ", ") + text(member(device, "assigned_by"), component) + of;
  }
  return all;
}

std::string update_text(const boost::json::value& device) {
  const boost::json::value& attempt = member(device, "attempt");
  if (attempt.is_null()) return "";
  std::string line = text(attempt, "state") + " " + text(attempt, "firmware");
  if (const std::int64_t size = number(attempt, "size"); size > 0 && number(attempt, "offset") > 0)
    line += " " + std::to_string(number(attempt, "offset") * 100 / size) + "%";
  return line;
}

int list(const Context& context, const Options& options) {
  if (options.csv) {
    const auto csv = context.client().get_text(devices_path(options.filter) + "&format=csv");
    if (!csv) return failed(csv.error());
    std::fwrite(csv->data(), 1, csv->size(), stdout);
    return kOk;
  }
  Table table({"DEVICE", "TYPE", "APPROVAL", "RUNS", "TAGS", "BY", "LAST SEEN", "UPDATE", "ASSIGNED BY"});
  std::size_t shown = 0;
  std::int64_t known = 0;
  const auto done =
      each_page(context, devices_path(options.filter), "cursor", [&](const boost::json::value& page) {
        known = number(page, "devices");
        for (const boost::json::value& device : items(page)) {
          ++shown;
          table.add({text(device, "id"), text(device, "type"), text(device, "approval"),
                     versions_text(device), tags_text(device), text(device, "transport"),
                     format_ago(number(device, "last_seen_ms")), update_text(device), assigned_text(device)});
        }
      });
  if (!done) return failed(done.error());
  if (context.json) return kOk;
  table.print();
  std::printf("%zu of %lld devices\n", shown, static_cast<long long>(known));
  return kOk;
}

int show(const Context& context, const Options& options) {
  const auto device = context.client().get(device_path(options.device.id));
  if (!device) return failed(device.error());
  if (context.json) {
    std::printf("%s\n", boost::json::serialize(*device).c_str());
    return kOk;
  }
  const auto line = [](const char* key, const std::string& value) {
    if (!value.empty()) std::printf("%-11s %s\n", key, value.c_str());
  };
  line("id", text(*device, "id"));
  line("type", text(*device, "type"));
  line("approval", text(*device, "approval"));
  line("tags", tags_text(*device));
  line("runs", versions_text(*device));
  if (const auto* attributes = member(*device, "attributes").if_object()) {
    for (const auto& [key, value] : *attributes)
      line("attribute", printable(key) + " = " + text(member(*device, "attributes"), key));
  }
  line("transport", text(*device, "transport"));
  line("address", text(*device, "address"));
  line("token", flag(*device, "has_token") ? "yes" : "no");
  if (const std::int64_t first = number(*device, "first_seen_ms"); first != 0)
    line("first seen", format_time(first));
  line("last seen", format_ago(number(*device, "last_seen_ms")));
  line("update", update_text(*device));
  const auto attempts = context.client().get(device_path(options.device.id, "/attempts?limit=10"));
  if (!attempts) return failed(attempts.error());
  if (!items(*attempts).empty()) std::printf("\n");
  print_attempts(context, *attempts);
  return kOk;
}

int write(const Context& context, const std::string& body, const std::string& content_type) {
  const auto done = context.client().call("POST", "/api/v1/devices", body, content_type);
  if (!done) return failed(done.error());
  if (context.json) {
    std::printf("%s\n", boost::json::serialize(*done).c_str());
  } else {
    const std::int64_t made = number(*done, "made");
    std::printf("%lld devices added, %lld changed\n", static_cast<long long>(made),
                static_cast<long long>(number(*done, "devices") - made));
  }
  return kOk;
}

int add(const Context& context, const Options& options) {
  const auto edit = device_edit(options.device);
  if (!edit) {
    failed(edit.error());
    return kUsage;
  }
  return write(context, boost::json::serialize(*edit), "application/json");
}

int import_devices(const Context& context, const Options& options) {
  const auto format = table_format(options.format, options.file);
  if (!format) {
    failed(format.error());
    return kUsage;
  }
  std::string body;
  if (options.file == "-") {
    body.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    std::ifstream in(options.file, std::ios::binary);
    if (!in) return failed(Error(Code::not_found, options.file + ": cannot be read"));
    body.assign(std::istreambuf_iterator<char>(in), {});
  }
  if (body.size() > kMostImport) {
    return failed(
        Error(Code::invalid, options.file + ": " + format_bytes(body.size()) +
                                 " are more than the 4 MiB of one import; split it, it may be done in "
                                 "any number of parts"));
  }
  return write(context, body, *format == "csv" ? "text/csv" : "application/json");
}

Result<std::string> exported(const Context& context, const Options& options, const std::string& format) {
  if (format == "csv") return context.client().get_text(devices_path(options.filter) + "&format=csv");
  boost::json::array all;
  Context quiet = context;
  quiet.json = false;
  const auto done = each_page(
      quiet, devices_path(options.filter), "cursor",
      [&](const boost::json::value& page) { all.insert(all.end(), items(page).begin(), items(page).end()); });
  if (!done) return fail(done.error());
  return boost::json::serialize(boost::json::object{{"items", std::move(all)}}) + "\n";
}

int export_devices(const Context& context, const Options& options) {
  const auto format = options.file.empty() && options.format.empty()
                          ? Result<std::string>(context.json ? "json" : "csv")
                          : table_format(options.format, options.file);
  if (!format) {
    failed(format.error());
    return kUsage;
  }
  const auto content = exported(context, options, *format);
  if (!content) return failed(content.error());
  if (options.file.empty() || options.file == "-") {
    std::fwrite(content->data(), 1, content->size(), stdout);
    return kOk;
  }
  std::ofstream out(options.file, std::ios::binary);
  out << *content << std::flush;
  if (!out) return failed(Error(Code::permanent, options.file + ": cannot be written"));
  return kOk;
}

// For each device named; goes on after one that fails.
int each(const Context& context, const Options& options,
         const std::function<Result<boost::json::value>(const std::string& id)>& act, const char* outcome) {
  int code = kOk;
  for (const std::string& id : options.ids) {
    const auto done = act(id);
    if (!done)
      code = failed(done.error().with_context(printable(id)));
    else if (context.json)
      std::printf("%s\n", boost::json::serialize(*done).c_str());
    else
      std::printf("%s %s\n", printable(id).c_str(), outcome);
  }
  return code;
}

int tag(const Context& context, const Options& options) {
  if (options.add_tags.empty() && options.remove_tags.empty()) {
    failed(Error(Code::invalid, "say which: --add TAG or --remove TAG"));
    return kUsage;
  }
  return each(
      context, options,
      [&](const std::string& id) -> Result<boost::json::value> {
        const auto device = context.client().get(device_path(id));
        if (!device) return fail(device.error());
        const boost::json::object edit{
            {"tags", edited_tags(items(*device, "tags"), options.add_tags, options.remove_tags)}};
        return context.client().call("PATCH", device_path(id), boost::json::serialize(edit));
      },
      "is tagged");
}

int token(const Context& context, const Options& options) {
  const auto answer =
      context.client().call(options.revoke ? "DELETE" : "POST", device_path(options.device.id, "/token"));
  if (!answer) return failed(answer.error());
  if (context.json)
    std::printf("%s\n", boost::json::serialize(*answer).c_str());
  else if (options.revoke)
    std::printf("%s has no token any more\n", printable(options.device.id).c_str());
  else
    std::printf("%s\n", text(*answer, "token").c_str());
  return kOk;
}

void add_filter(CLI::App& command, DeviceFilter& filter) {
  command.add_option("--prefix", filter.prefix, "Only ids that begin so");
  command.add_option("--type", filter.type, "Only of this device type");
  command.add_option("--tag", filter.tag, "Only with this tag");
  command.add_option("--transport", filter.transport, "Only those that came by this transport last");
  command.add_option("--approval", filter.approval, "Only those that are so")
      ->check(CLI::IsMember({"pending", "approved", "blocked"}));
  command.add_option("--component", filter.component, "Only with this component");
  command.add_option("--version", filter.version, "Only those that run this version");
}

}  // namespace

void add_devices(CLI::App& app, Context& context) {
  CLI::App* devices =
      app.add_subcommand("devices", "Devices: what they are, what they run, who may be updated");
  devices->require_subcommand(0, 1);
  auto options = std::make_shared<Options>();
  const auto set = [&context, options](CLI::App& command, int (*run)(const Context&, const Options&)) {
    command.callback([&context, options, run] {
      context.run = [&context, options, run] { return run(context, *options); };
    });
  };
  devices->callback([devices, &context, options] {
    if (devices->get_subcommands().empty())
      context.run = [&context, options] { return list(context, *options); };
  });
  const auto id = [options](CLI::App& command) {
    command.add_option("ID", options->device.id, "Of the device")->required();
  };
  const auto ids = [options](CLI::App& command) {
    command.add_option("ID", options->ids, "Of the devices")->required();
  };

  CLI::App* command = devices->add_subcommand("list", "Those that are known, by id");
  add_filter(*command, options->filter);
  command->add_flag("--csv", options->csv, "As CSV");
  set(*command, list);
  command = devices->add_subcommand("show", "All that is known about one, and its last attempts");
  id(*command);
  set(*command, show);
  command = devices->add_subcommand("add", "Make one known, or change what is said of it");
  id(*command);
  command->add_option("--type", options->device.type, "Device type");
  command->add_option("--tag", options->device.tags, "All of its tags, one by one")->allow_extra_args(false);
  command->add_option("--attribute", options->device.attributes, "All of its attributes, one by one")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
  command->add_option("--version", options->device.versions, "What it runs, component by component")
      ->allow_extra_args(false)
      ->type_name("[COMPONENT=]VERSION");
  command->add_option("--transport", options->device.transport, "Instance that it is reached by");
  command->add_option("--address", options->device.address, "Where it is, as that transport writes it");
  command->add_option("--approval", options->device.approval, "Whether it may have updates")
      ->check(CLI::IsMember({"pending", "approved", "blocked"}));
  set(*command, add);
  const std::string kFormats = "By the end of FILE when left out";
  command = devices->add_subcommand("import", "Make or change all that a file lists, or none of them");
  command->add_option("FILE", options->file, "CSV or JSON as `export` writes it; - is the standard input")
      ->required();
  command->add_option("--format", options->format, kFormats)->check(CLI::IsMember({"csv", "json"}));
  set(*command, import_devices);
  command = devices->add_subcommand("export", "Write them to a file or to the standard output");
  command->add_option("FILE", options->file, "The standard output when left out");
  command->add_option("--format", options->format, kFormats + "; CSV to the standard output")
      ->check(CLI::IsMember({"csv", "json"}));
  add_filter(*command, options->filter);
  set(*command, export_devices);
  command = devices->add_subcommand("tag", "Add tags and take tags off");
  ids(*command);
  command->add_option("--add", options->add_tags, "One tag; again for more")->allow_extra_args(false);
  command->add_option("--remove", options->remove_tags, "One tag; again for more")->allow_extra_args(false);
  set(*command, tag);
  command = devices->add_subcommand("approve", "Let them have updates");
  ids(*command);
  command->callback([&context, options] {
    context.run = [&context, options] {
      return each(
          context, *options,
          [&](const std::string& one) { return context.client().call("POST", device_path(one, "/approve")); },
          "is approved");
    };
  });
  command = devices->add_subcommand("block", "Refuse their check-ins");
  ids(*command);
  command->callback([&context, options] {
    context.run = [&context, options] {
      return each(
          context, *options,
          [&](const std::string& one) { return context.client().call("POST", device_path(one, "/block")); },
          "is blocked");
    };
  });
  command = devices->add_subcommand("remove", "Forget them; one that checks in again is new");
  ids(*command);
  command->callback([&context, options] {
    context.run = [&context, options] {
      return each(
          context, *options,
          [&](const std::string& one) { return context.client().call("DELETE", device_path(one)); },
          "is forgotten");
    };
  });
  command =
      devices->add_subcommand("token", "A bearer token for one; shown this once, the one before is void");
  id(*command);
  command->add_flag("--revoke", options->revoke, "None any more instead");
  set(*command, token);
}

}  // namespace otagate::cli
