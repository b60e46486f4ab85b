#compdef otagate
autoload -U +X bashcompinit && bashcompinit
# bash completion for otagate: source it, or install it as
# /usr/share/bash-completion/completions/otagate
_otagate() {
  local word path=""
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in -*) ;; *) path="${path:+$path }$word" ;; esac
  done
  local words=""
  while :; do
    case $path in
      '') words='status plugins stores firmware devices deploy deployments bundle cache events config state completion --help -h --version --socket --address --token-file --json'; break ;;
      'status') words='--help -h'; break ;;
      'plugins') words='--help -h'; break ;;
      'stores') words='sync show --help -h'; break ;;
      'stores sync') words='--help -h'; break ;;
      'stores show') words='--help -h --skipped'; break ;;
      'firmware') words='list show fetch pin unpin import remove publish --help -h'; break ;;
      'firmware list') words='--help -h --name --type --store --all'; break ;;
      'firmware show') words='--help -h'; break ;;
      'firmware fetch') words='--help -h --wait'; break ;;
      'firmware pin') words='--help -h --reason'; break ;;
      'firmware unpin') words='--help -h'; break ;;
      'firmware import') words='--help -h --name --version --type --kind --dependency --replace'; break ;;
      'firmware remove') words='--help -h'; break ;;
      'firmware publish') words='--help -h --store --key'; break ;;
      'devices') words='list show add import export tag approve block remove token --help -h'; break ;;
      'devices list') words='--help -h --prefix --type --tag --transport --approval --component --version --csv'; break ;;
      'devices show') words='--help -h'; break ;;
      'devices add') words='--help -h --type --tag --attribute --version --approval'; break ;;
      'devices import') words='--help -h --format'; break ;;
      'devices export') words='--help -h --format --prefix --type --tag --transport --approval --component --version'; break ;;
      'devices tag') words='--help -h --add --remove'; break ;;
      'devices approve') words='--help -h'; break ;;
      'devices block') words='--help -h'; break ;;
      'devices remove') words='--help -h'; break ;;
      'devices token') words='--help -h --revoke'; break ;;
      'deploy') words='--help -h --to --component --part --store --name --dry-run --yes -y --wait --waves --window --window-without-clock --concurrency --advance-at --pause-at --abort-at --attempts --retry-first --retry-most --silence --apply --deadline --approval --once --downgrade --stream'; break ;;
      'deployments') words='list show devices attempts approve pause resume abort retry --help -h'; break ;;
      'deployments list') words='--help -h --open'; break ;;
      'deployments show') words='--help -h --follow -f'; break ;;
      'deployments devices') words='--help -h --state'; break ;;
      'deployments attempts') words='--help -h --device --lines -n'; break ;;
      'deployments approve') words='--help -h --why'; break ;;
      'deployments pause') words='--help -h --why'; break ;;
      'deployments resume') words='--help -h --why'; break ;;
      'deployments abort') words='--help -h --why'; break ;;
      'deployments retry') words='--help -h --why'; break ;;
      'bundle') words='export import manifest --help -h'; break ;;
      'bundle export') words='--help -h'; break ;;
      'bundle import') words='--help -h --signature --replace'; break ;;
      'bundle manifest') words='--help -h'; break ;;
      'cache') words='show verify evict --help -h'; break ;;
      'cache show') words='--help -h'; break ;;
      'cache verify') words='--help -h'; break ;;
      'cache evict') words='--help -h'; break ;;
      'events') words='--help -h --follow -f --lines -n --kind'; break ;;
      'config') words='check show reload log-level --help -h'; break ;;
      'config check') words='--help -h'; break ;;
      'config show') words='--help -h'; break ;;
      'config reload') words='--help -h'; break ;;
      'config log-level') words='--help -h'; break ;;
      'state') words='check backup restore --help -h'; break ;;
      'state check') words='--help -h --database'; break ;;
      'state backup') words='--help -h --database'; break ;;
      'state restore') words='--help -h --database'; break ;;
      'completion') words='--help -h'; break ;;
    esac
    case $path in *' '*) path=${path% *} ;; *) path='' ;; esac
  done
  COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _otagate otagate
