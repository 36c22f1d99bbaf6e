# bash completion for fsq: source it, or put it into /usr/share/bash-completion/completions/fsq

_fsq() {
  local cur=${COMP_WORDS[COMP_CWORD]} root=${FSQ_ROOT:-/var/fsq} command='' at=1
  COMPREPLY=()
  while ((at < COMP_CWORD)); do
    case ${COMP_WORDS[at]} in
      -r | --root-dir) root=${COMP_WORDS[at + 1]}; ((at += 2)) ;;
      --root-dir=*) root=${COMP_WORDS[at]#*=}; ((at += 1)) ;;
      -[cetqdDT]) ((at += 2)) ;;
      -*) ((at += 1)) ;;
      *) command=${COMP_WORDS[at]}; break ;;
    esac
  done
  local options commands='audit cat doctor down enqueue install list prune repair retry rm scan show stats uninstall up'
  case $command in
    '') options='--help --list --charset= --root-dir= --queue-dir= --tmp-dir= --done-dir= --down-file= --trigger-fifo=' ;;
    install) options='--verbose --force --ignore-exists --down --triggered --owner= --group= --mode= --lock-kind=' ;;
    uninstall) options='--force --verbose' ;;
    enqueue) options='--verbose --user= --group= --mode= --file= --empty --trigger --batch --null --id' ;;
    scan) options='--verbose --env --no-env --no-open --ignore-down --empty-ok --no-done --lock --no-lock --ttl= --max-tries= --success-code= --fail-tmp-code= --fail-perm-code= --max-rate= --jobs= --follow --exit-code' ;;
    down) options='--verbose --user= --group= --mode=' ;;
    up) options='--verbose' ;;
    list) options='--json --state=' ;;
    doctor | show | stats) options='--json' ;;
    retry) options='--all --argument= --older-than= --keep-tries --dry-run --id --verbose' ;;
    rm) options='--all --argument= --older-than= --state= --dry-run --verbose' ;;
    prune) options='--older-than= --keep= --done --failed --dry-run --verbose' ;;
    audit) options='--json --exit-code' ;;
    repair) options='--dry-run --yes --verbose' ;;
  esac
  local IFS=$' \n'
  if [[ -z $command && $cur != -* ]]; then
    COMPREPLY=($(compgen -W "$commands" -- "$cur"))
  elif [[ $cur == -* ]]; then
    [[ -n $command ]] && options+=' --help'
    COMPREPLY=($(compgen -W "$options" -- "$cur"))
    [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace 2>/dev/null
  else
    # Queues; hidden ones are under installation or removal.
    local queue
    for queue in "$root/$cur"*/queue; do
      queue=${queue%/queue}
      [[ -d $queue ]] && COMPREPLY+=("${queue##*/}")
    done
    ((${#COMPREPLY[@]})) || COMPREPLY=($(compgen -f -- "$cur"))
  fi
}

complete -F _fsq fsq
