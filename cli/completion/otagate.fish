# fish completion for otagate
function __otagate_at
  set -l words (commandline -opc)[2..]
  set -l path (string match -v -- '-*' $words)
  test "$path" = "$argv"
end
complete -c otagate -n '__otagate_at ' -a 'status plugins stores firmware cache events config state completion --help -h --version --socket --address --token-file --json'
complete -c otagate -n '__otagate_at status' -a '--help -h'
complete -c otagate -n '__otagate_at plugins' -a '--help -h'
complete -c otagate -n '__otagate_at stores' -a 'sync show --help -h'
complete -c otagate -n '__otagate_at stores sync' -a '--help -h'
complete -c otagate -n '__otagate_at stores show' -a '--help -h --skipped'
complete -c otagate -n '__otagate_at firmware' -a 'list show fetch pin unpin --help -h'
complete -c otagate -n '__otagate_at firmware list' -a '--help -h --name --type --store --all'
complete -c otagate -n '__otagate_at firmware show' -a '--help -h'
complete -c otagate -n '__otagate_at firmware fetch' -a '--help -h --wait'
complete -c otagate -n '__otagate_at firmware pin' -a '--help -h --reason'
complete -c otagate -n '__otagate_at firmware unpin' -a '--help -h'
complete -c otagate -n '__otagate_at cache' -a 'show verify evict --help -h'
complete -c otagate -n '__otagate_at cache show' -a '--help -h'
complete -c otagate -n '__otagate_at cache verify' -a '--help -h'
complete -c otagate -n '__otagate_at cache evict' -a '--help -h'
complete -c otagate -n '__otagate_at events' -a '--help -h --follow -f --lines -n --kind'
complete -c otagate -n '__otagate_at config' -a 'check show reload log-level --help -h'
complete -c otagate -n '__otagate_at config check' -a '--help -h'
complete -c otagate -n '__otagate_at config show' -a '--help -h'
complete -c otagate -n '__otagate_at config reload' -a '--help -h'
complete -c otagate -n '__otagate_at config log-level' -a '--help -h'
complete -c otagate -n '__otagate_at state' -a 'check backup restore --help -h'
complete -c otagate -n '__otagate_at state check' -a '--help -h --database'
complete -c otagate -n '__otagate_at state backup' -a '--help -h --database'
complete -c otagate -n '__otagate_at state restore' -a '--help -h --database'
complete -c otagate -n '__otagate_at completion' -a '--help -h'
