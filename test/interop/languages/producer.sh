#!/bin/sh
# producer.sh QUEUE [ARGUMENT...] <CONTENTS: adds an item to the queue in this directory, and prints its name.
set -eu
queue=$1
shift

encoded() { # the dot keeps newlines at the end
  printf %s. "$1" | sed 's/%/%25/g; s/_/%5f/g; s,/,%2f,g'
}

host=$(encoded "$(uname -n)")
fields=${host%.}_0
for argument; do
  field=$(encoded "$argument")
  fields=${fields}_${field%.}
done

private=$(mktemp "$queue/tmp/XXXXXXXXXX")
trap 'rm -f "$private"' EXIT
cat >"$private"
chmod 640 "$private"
sync "$private"

entropy=0
until
  name=_$(date +%Y%m%d%H%M%S)_${entropy}_$$_$fields
  error=$(ln -T "$private" "$queue/queue/$name" 2>&1) # never replaces a file
do
  entropy=$((entropy + 1))
  [ "$entropy" -lt 100 ] || { echo "$error" >&2; exit 111; }
done
sync "$queue/queue"
printf '%s\n' "$name"
