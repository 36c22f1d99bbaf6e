# bash completion for fsq: source it, or put it into /usr/share/bash-completion/completions/fsq

# Reads the words before the one at the cursor: sets `command`, `operands`, `root` and, where that word is the value of an
# option, `valued`.
_fsq_read() {
  # Short options with a value, and the long ones; of fsq itself, then of the command.
  local short=cetqdDTr long=" $(_fsq_options '') " at=1 word rest
  while ((at < COMP_CWORD)); do
    word=${COMP_WORDS[at]} valued=''
    case $word in
      --) end=1 ;;
      # Bash makes words of their own of the ':' and '@' in a URL, and of what is after them.
      [:@]*) valued=: && ((at += 1)) ;;
      --?*)
        if [[ $long == *" $word= "* ]]; then
          valued=$word
          # Bash makes words of their own of what is before, after, and of the '='.
          [[ ${COMP_WORDS[at + 1]} == '=' ]] && ((at += 1))
          ((at += 1))
        fi
        ;;
      -?*)
        rest=${word#-}
        while [[ -n $rest ]]; do
          if [[ $short == *"${rest:0:1}"* ]]; then
            valued=-${rest:0:1}
            [[ ${#rest} -gt 1 ]] && { [[ $valued == -r ]] && root=${rest:1}; valued=''; } || ((at += 1))
            break
          fi
          rest=${rest:1}
        done
        ;;
      *)
        if [[ -z $command ]]; then
          command=$word long=" $(_fsq_options "$command") "
          case $command in
            install) short=aogm ;; enqueue) short=ugmf ;; scan) short=AtmSTFrj ;; down) short=ugm ;; list) short=As ;;
            add-host) short=ogm ;; down-host) short=ougm ;; host-dist) short=tmSTF ;;
            retry) short=Aoel ;; wait) short=t ;; rm) short=Aos ;; prune) short=ok ;; top) short=i ;; forward | receive) short=ji ;; push) short=jp ;; jsonrpcd) short=w ;; *) short='' ;;
          esac
        else
          operands+=("$word")
        fi
        ;;
    esac
    if [[ -n $valued && $at -lt COMP_CWORD ]]; then
      [[ -z $command && ($valued == -r || $valued == --root-dir) ]] && root=${COMP_WORDS[at]}
      valued=''
    fi
    ((at += 1))
  done
  root=${root/#\~\//$HOME/}
}

_fsq_options() {
  case $1 in
    '') echo --help --list --version --charset= --exec-dir= --root-dir= --queue-dir= --tmp-dir= --done-dir= --down-file= --trigger-fifo= ;;
    install) echo --verbose --force --ignore-exists --down --triggered --owner= --group= --mode= --claims= --lock-kind= --add-host= --help ;;
    uninstall) echo --force --verbose --help ;;
    enqueue) echo --verbose --user= --group= --mode= --file= --empty --trigger --batch --null --id --help ;;
    scan) echo --all-hosts --host= --verbose --env --no-env --no-open --ignore-down --empty-ok --no-done --lock --no-lock --ttl= --max-tries= --success-code= --fail-tmp-code= --fail-perm-code= --max-rate= --jobs= --follow --exit-code --timeout= --backoff= --max-crashes= --keep-done= --lease= --help ;;
    down) echo --verbose --user= --group= --mode= --help ;;
    up | up-host) echo --verbose --help ;;
    add-host) echo --verbose --force --ignore-exists --owner= --group= --mode= --help ;;
    rm-host) echo --force --verbose --help ;;
    down-host) echo --verbose --owner= --user= --group= --mode= --help ;;
    host-dist) echo --verbose --link --trigger --no-open --ignore-down --no-done --lock --no-lock --ttl= --max-tries= --success-code= --fail-tmp-code= --fail-perm-code= --help ;;
    list) echo --json --state= --failed --by-error --all-hosts --host= --help ;;
    log) echo --verbose --json --help ;;
    wait) echo --timeout= --json --help ;;
    doctor) echo --json --peer --help ;;
    show | stats) echo --json --help ;;
    cat) echo --help ;;
    retry) echo --all --argument= --older-than= --error= --limit= --done --keep-tries --dry-run --id --verbose --help ;;
    rm) echo --all --argument= --older-than= --state= --dry-run --verbose --help ;;
    prune) echo --older-than= --keep= --done --failed --dry-run --verbose --help ;;
    top) echo --interval= --json --help ;;
    forward) echo --name= --jobs= --keep= --in-doubt= --once --json --interval= --verbose --tls-ca= --tls-cert= --tls-key= --timeout= --connections= --rate= --trigger --stream= --creds= --domain= --to= --queue= --subject= --strict --object-bucket= --print-stream --replicas= --help ;;
    push) echo --name= --jobs= --keep= --in-doubt= --once --json --interval= --verbose --tls-ca= --tls-cert= --tls-key= --timeout= --connections= --rate= --trigger --follow --no-lock --ignore-listener --protocol= --help ;;
    jsonrpcd) echo --workers= --verbose --credentials= --add-user= --tls-cert= --tls-key= --tls-ca= --allow-all --keep= --max-body= --max-connections= --help ;;
    receive) echo --from= --stream= --domain= --consumer= --jobs= --keep= --name= --creds= --tls-ca= --tls-cert= --tls-key= --json --interval= --print-consumer --verbose --help ;;
    watch) echo --json --verbose --help ;;
    audit) echo --json --exit-code --help ;;
    repair) echo --dry-run --yes --claims= --verbose --help ;;
  esac
}

# The files that begin like the word at the cursor, by their last names; hidden queues are under installation or removal.
_fsq_names() {
  local file
  for file in "$@"; do
    [[ -e $file ]] || continue
    file=${file%/"${FSQ_QUEUE:-queue}"}
    printf -v file %q "${file##*/}"
    COMPREPLY+=("$file")
  done
}

_fsq() {
  local cur=${COMP_WORDS[COMP_CWORD]} root=${FSQ_ROOT:-/var/fsq} command='' operands=() valued='' end='' IFS=$' \t\n'
  COMPREPLY=()
  _fsq_read
  [[ $cur == '=' ]] && cur=''
  case $valued in
    '') ;;
    -r | --root-dir)
      # Where a command has the option -r, it is a rate.
      [[ -z $command ]] && { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); }
      return ;;
    -f | --file | --creds | --credentials | --tls-ca | --tls-cert | --tls-key)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$cur")
      return ;;
    -s | --state)
      local states='waiting done failed'
      [[ $command == list ]] && states+=' all'
      COMPREPLY=($(compgen -W "$states" -- "$cur"))
      return ;;
    --in-doubt) COMPREPLY=($(compgen -W 'hold publish' -- "$cur")); return ;;
    --keep-done) COMPREPLY=($(compgen -W 'yes no' -- "$cur")); return ;;
    --claims)
      local kinds=rename
      [[ $command == install ]] && kinds='lock rename'
      COMPREPLY=($(compgen -W "$kinds" -- "$cur"))
      return ;;
    --lock-kind) COMPREPLY=($(compgen -W 'flock fcntl' -- "$cur")); return ;;
    -c | --charset) COMPREPLY=($(compgen -W 'utf8 ascii latin-1' -- "$cur")); return ;;
    -o | -u | --owner | --user) [[ $command == @(install|enqueue|down|add-host|down-host) ]] && COMPREPLY=($(compgen -u -- "$cur")); return ;;
    -g | --group) COMPREPLY=($(compgen -g -- "$cur")); return ;;
    *) return ;;
  esac
  # In these the first operand ends the options.
  [[ $command == @(install|enqueue|scan|down|up|add-host|rm-host|down-host|up-host|host-dist|push|jsonrpcd) && ${#operands[@]} -gt 0 ]] && end=1
  if [[ $cur == -* && -z $end ]]; then
    COMPREPLY=($(compgen -W "$(_fsq_options "$command")" -- "$cur"))
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
    return
  fi
  case $command:${#operands[@]} in
    :* | help:0)
      COMPREPLY=($(compgen -W 'add-host audit cat doctor down down-host enqueue forward host-dist install jsonrpcd list log prune push receive repair retry rm rm-host scan show stats top uninstall up up-host wait watch' -- "$cur"))
      [[ -z $command && help == "$cur"* ]] && COMPREPLY+=(help) ;;
    add-host:0) ;;
    rm-host:0 | down-host:0 | up-host:0) _fsq_names "$root"/*/"${FSQ_HOSTS:-hosts}"/"$cur"*/"${FSQ_QUEUE:-queue}" ;;
    add-host:* | rm-host:* | down-host:* | up-host:* | host-dist:0) _fsq_names "$root/$cur"*/"${FSQ_QUEUE:-queue}" ;;
    host-dist:*) _fsq_names "$root/${operands[0]}/${FSQ_HOSTS:-hosts}/$cur"*/"${FSQ_QUEUE:-queue}" ;;
    push:3) _fsq_names "$root/${operands[1]}/${FSQ_HOSTS:-hosts}/$cur"*/"${FSQ_QUEUE:-queue}" ;;
    push:[4-9]*) _fsq_names "$root/${operands[1]}/${FSQ_HOSTS:-hosts}/${operands[3]}/${FSQ_QUEUE:-queue}/$cur"* ;;
    doctor:*) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
    retry:[1-9]*) _fsq_names "$root/${operands[0]}/${FSQ_FAIL:-fail}/$cur"* ;;
    show:[1-9]* | cat:[1-9]* | rm:[1-9]* | log:[1-9]* | wait:[1-9]*)
      _fsq_names "$root/${operands[0]}"/{"${FSQ_QUEUE:-queue}","${FSQ_DONE:-done}","${FSQ_FAIL:-fail}"}/"$cur"* ;;
    enqueue:0 | scan:0 | forward:0 | receive:0 | show:0 | cat:0 | log:0 | wait:0 | retry:0 | rm:0 | push:1 | push:2 | uninstall:* | down:* | up:* | list:* | stats:* | top:* | watch:* | audit:* | repair:* | prune:* | jsonrpcd:[2-9]*)
      _fsq_names "$root/$cur"*/"${FSQ_QUEUE:-queue}" ;;
    scan:1) COMPREPLY=($(compgen -c -- "$cur")) ;;
    scan:* | enqueue:*) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
  esac
}

complete -F _fsq fsq
