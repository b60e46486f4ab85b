#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include "commands.hpp"
#include "json_access.hpp"

namespace otagate::cli {

namespace {

// The daemon checks its own configuration: the plugins with their schemas are on its side.
int check(const std::string& file) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::string beside = (self.parent_path() / "otagated").string();
  std::string program = ::access(beside.c_str(), X_OK) == 0 ? beside : "otagated";
  std::string check_flag = "--check", config_flag = "--config", path = file;
  char* arguments[] = {program.data(), check_flag.data(), config_flag.data(), path.data(), nullptr};
  ::execvp(program.c_str(), arguments);
  return failed(
      Error(Code::not_found, program + ": " + std::strerror(errno) + "; is the package otagate installed?"));
}

int show(const Context& context) {
  const auto answer = context.client().get("/api/v1/config");
  if (!answer) return failed(answer.error());
  std::printf("%s\n", boost::json::serialize(*answer).c_str());
  return kOk;
}

int reload(const Context& context) {
  const auto answer = context.client().call("POST", "/api/v1/config/reload");
  if (!answer) return failed(answer.error());
  if (context.json) {
    std::printf("%s\n", boost::json::serialize(*answer).c_str());
    return kOk;
  }
  std::printf("reloaded\n");
  for (const boost::json::value& key : items(*answer, "needs_restart"))
    std::printf("  %s takes effect at the next start\n",
                key.is_string() ? printable(std::string_view(key.as_string())).c_str() : "?");
  return kOk;
}

int set_level(const Context& context, const std::string& level, const std::string& module) {
  boost::json::object body{{"level", level}};
  if (!module.empty()) body["module"] = module;
  const auto done = context.client().call("PUT", "/api/v1/log", boost::json::serialize(body));
  if (!done) return failed(done.error());
  if (context.json)
    std::printf("%s\n", boost::json::serialize(*done).c_str());
  else
    std::printf("%s logs at %s until the next reload\n", module.empty() ? "everything" : module.c_str(),
                level.c_str());
  return kOk;
}

}  // namespace

void add_config(CLI::App& app, Context& context) {
  CLI::App* config = app.add_subcommand("config", "The daemon's configuration");
  config->require_subcommand(1);
  auto file = std::make_shared<std::string>("/etc/otagate/otagate.toml");
  auto level = std::make_shared<std::string>();
  auto module = std::make_shared<std::string>();
  CLI::App* command =
      config->add_subcommand("check", "Check a file as the daemon would, without starting anything");
  command->add_option("FILE", *file, "The file; conf.d/*.toml beside it belongs to it")
      ->capture_default_str();
  command->callback([&context, file] { context.run = [file] { return check(*file); }; });
  command = config->add_subcommand("show", "All effective settings as JSON, secrets redacted");
  command->callback([&context] { context.run = [&context] { return show(context); }; });
  command = config->add_subcommand("reload", "Make the daemon read it again, as SIGHUP does");
  command->callback([&context] { context.run = [&context] { return reload(context); }; });
  command = config->add_subcommand("log-level", "Change a log level until the next reload");
  command->add_option("LEVEL", *level, "trace, debug, info, warn, error or off")->required();
  command->add_option("MODULE", *module, "Only of this module or instance");
  command->callback([&context, level, module] {
    context.run = [&context, level, module] { return set_level(context, *level, *module); };
  });
}

}  // namespace otagate::cli
