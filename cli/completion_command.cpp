#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <vector>

#include "commands.hpp"

namespace otagate::cli {

namespace {

// One line per command: its words, a colon, and what may follow. Made from the commands themselves, so
// that completion knows every one of them.
void describe(const CLI::App& app, const std::string& words,
              std::vector<std::pair<std::string, std::string>>& out) {
  std::string next;
  for (const CLI::App* command : app.get_subcommands({})) next += " " + command->get_name();
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) next += " --" + name;
    for (const std::string& name : option->get_snames()) next += " -" + name;
  }
  out.emplace_back(words, next.empty() ? "" : next.substr(1));
  for (const CLI::App* command : app.get_subcommands({}))
    describe(*command, words.empty() ? command->get_name() : words + " " + command->get_name(), out);
}

void print_bash(const std::vector<std::pair<std::string, std::string>>& commands) {
  std::printf(
      "# bash completion for otagate: source it, or install it as\n"
      "# /usr/share/bash-completion/completions/otagate\n"
      "_otagate() {\n"
      "  local word path=\"\"\n"
      "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
      "    case $word in -*) ;; *) path=\"${path:+$path }$word\" ;; esac\n"
      "  done\n"
      "  local words=\"\"\n"
      "  while :; do\n"
      "    case $path in\n");
  for (const auto& [path, next] : commands)
    std::printf("      '%s') words='%s'; break ;;\n", path.c_str(), next.c_str());
  std::printf(
      "    esac\n"
      "    case $path in *' '*) path=${path%% *} ;; *) path='' ;; esac\n"
      "  done\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
      "}\n"
      "complete -o default -F _otagate otagate\n");
}

void print_zsh(const std::vector<std::pair<std::string, std::string>>& commands) {
  std::printf("#compdef otagate\nautoload -U +X bashcompinit && bashcompinit\n");
  print_bash(commands);
}

void print_fish(const std::vector<std::pair<std::string, std::string>>& commands) {
  std::printf(
      "# fish completion for otagate\n"
      "function __otagate_at\n"
      "  set -l words (commandline -opc)[2..]\n"
      "  set -l path (string match -v -- '-*' $words)\n"
      "  test \"$path\" = \"$argv\"\n"
      "end\n");
  for (const auto& [path, next] : commands) {
    if (!next.empty())
      std::printf("complete -c otagate -n '__otagate_at %s' -a '%s'\n", path.c_str(), next.c_str());
  }
}

}  // namespace

void add_completion(CLI::App& app, Context& context) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("completion", "Print the completion script for a shell");
  command->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->callback([&app, &context, shell] {
    context.run = [&app, shell] {
      std::vector<std::pair<std::string, std::string>> commands;
      describe(app, "", commands);
      if (*shell == "bash") print_bash(commands);
      if (*shell == "zsh") print_zsh(commands);
      if (*shell == "fish") print_fish(commands);
      return kOk;
    };
  });
}

}  // namespace otagate::cli
