#!/bin/sh
# worker.sh QUEUE COMMAND [ARGUMENT...]: runs the command for each item: contents on standard input, name as last argument.
queue=$1
shift

work() { # the item is open as descriptor 9
  flock -n 9 || return                      # another worker has it
  [ "$item" -ef /proc/self/fd/9 ] || return # another worker finished it between our open and our lock
  for directory in done fail; do
    if [ -e "$queue/$directory/$name" ]; then # the same file: a worker died between ln and rm
      [ "$item" -ef "$queue/$directory/$name" ] && rm "$item"
      return
    fi
  done
  eval "$(stat -c 'modified=%.9Y changed=%.9Z' "$item" | tr -d .)"
  if [ "$modified" -gt "$changed" ] && [ "$modified" -gt "$(date +%s%N)" ]; then return; fi # delayed
  directory=fail
  "$@" "$name" <&9 9<&- && directory=done
  ln -T "$item" "$queue/$directory/$name" && rm "$item" || exit 111
  flock -u 9
}

while :; do
  for item in "$queue"/queue/_*_*_*_*_*; do
    if [ ! -d "$queue/queue" ] || [ -e "$queue/down" ] || [ -e "$queue/lock-fcntl" ]; then
      echo "$queue is down, missing, or worked with other locks" >&2
      exit 111
    fi
    name=${item##*/}
    [ -f "$item" ] && [ ! -h "$item" ] || continue
    ({ exec 9<"$item"; } 2>/dev/null && work "$@") # a subshell: its end closes the item
    [ $? -ne 111 ] || exit 111                     # the item has run and cannot be moved
  done
  sleep 1
done
