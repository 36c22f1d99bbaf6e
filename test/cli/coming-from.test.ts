// The table of all differences from the first implementation, in docs/coming-from.md: each row says what ours does.
import fs from 'node:fs'
import path from 'node:path'

import { expect } from '@jest/globals'

import { useCommandBed } from '../support/command.js'
import { onLinux } from '../support/needs.js'

const bed = useCommandBed()
const AT_ONCE = 4
const I = '_20120710213904_0_1_h_0_a'

/** For the scripts: queues, items, and where items are. */
const HELP = String.raw`cd "$FSQ_ROOT"; exec 2> .err
  I=${I}
  queue() { for q; do mkdir -p "$q/tmp" "$q/queue" "$q/done" "$q/fail"; done; }
  item() { queue "$1"; : > "$1/queue/${'${2:-$I}'}"; }
  where() { (cd "${'${1:-q}'}" && find queue done fail -type f | LC_ALL=C sort | tr '\n' ' ' && echo); }
  code() { "$@"; echo "$?"; }
`

/** By row: a script, and the lines that it prints. */
const CHECKS: Readonly<Record<string, readonly [script: string, ...lines: readonly string[]]>> = {
  '`enqueue` that fails': [
    `item q; code fsq enqueue -e nosuch a; code fsq enqueue -e a/b a; code fsq enqueue -f nosuch q`,
    ...['111', '111', '111'],
  ],
  '`enqueue -t`, no FIFO': ['queue q; code fsq enqueue -t -e q a; ls q/queue | wc -l', '111', '1'],
  '`enqueue -u`, `down -u`: an unknown user': [
    'queue q; code fsq enqueue -u nosuch -e q a; code fsq down -u nosuch q; where',
    ...['111', '111', ''],
  ],
  '`down` of a missing queue': ['code fsq down nosuch', '111'],
  '`scan` of a queue that is down': [
    'item q; item q _20120710213904_1_1_h_0_b; : > q/down; code fsq scan q echo; wc -l < .err',
    ...['111', '1'],
  ],
  '`scan`, the program is not found': [
    'item q; code fsq scan q ./nosuch; : > file; code fsq scan q ./file; where',
    ...['111', '111', `queue/${I}`],
  ],
  '`scan`, the program is killed': [
    `item q; item q _20120710213905_0_1_h_0_b; code fsq scan q sh -c 'kill -9 $$'; where`,
    ...['111', `fail/${I} queue/_20120710213905_0_1_h_0_b`],
  ],
  'a scan that is killed': [
    `item q; fsq scan q sh -c 'kill -9 $PPID; exit 0'; where; code fsq scan q echo`,
    ...[`queue/${I}`, 'a', '0'],
  ],
  'a bad value of an option': [
    'queue q; code fsq scan -m x q true; code fsq enqueue -m abc -e q; code fsq down -m abc q; code fsq install -o -2 r',
    ...['100', '100', '100', '100'],
  ],
  'a bad value of a variable': ['queue q; export FSQ_MAX_TRIES=abc; code fsq scan q true', '111'],
  'an unknown flag': ['code fsq -x; code fsq install -x q; code fsq scan -x q true', '100', '100', '100'],
  'an unknown command': ['code fsq nosuch; code fsq a/b', '100', '100'],
  'long options': [
    'code fsq install --down --mode=0700 q; stat -c %a q; ls q/down; code fsq up --verbose q',
    ...['0', '700', 'q/down', '0'],
  ],
  '`install -f` of a queue that exists': [
    'item q; code fsq install -f -d -t -a h1 q; ls -x q',
    ...['0', 'done  down  fail  hosts  hosts-trigger-s  queue  tmp  trigger-s'],
  ],
  '`scan -n`': [
    `item q; flock q/queue/$I fsq scan -n q echo; echo input | fsq scan -n q sh -c cat; where`,
    ...['input', `done/${I}`],
  ],
  '`scan -i`, `--ignore-down`': ['item q; : > q/down; code fsq scan -i q echo', 'a', '0'],
  '`scan -k` without a program': [
    'item q _20120710213904_0_1_h_0_echo_hello; code fsq scan -k q',
    ...['hello', '0'],
  ],
  '`scan -r`, `--max-rate`': [
    `for n in 0 1 2; do item q _20120710213904_$n''_1_h_0; done
     fsq scan --max-rate=2 q date +%s%N > times
     awk 'NR == 1 { first = $1 } END { print NR, ($1 - first > 150e6 ? "slow" : "fast") }' times`,
    '3 slow',
  ],
  '`fsq -T`, `--trigger-fifo`': ['fsq -T tr install -t q; stat -c %F q/tr', 'fifo'],
  '`scan --host=H`': [
    `item q; item q/hosts/h1; fsq scan --host=h1 q sh -c 'echo $FSQ_ITEM_HOST'; where`,
    ...['h1', `queue/${I}`],
  ],
  '`scan -a` and `-A`, one of queue and host is down': [
    `queue q; item q/hosts/h1; item q/hosts/h2; : > q/hosts/h1/down
     code fsq scan -A h1 q echo; code fsq scan -a q sh -c 'echo $FSQ_ITEM_HOST'
     mv q/hosts/h1/down q/; code fsq scan -A h1 q echo; code fsq scan -a q echo`,
    ...['111', 'h2', '0', '111', '111'],
  ],
  '`scan -a`, order between hosts': [
    `queue q; for h in h1 h2; do for n in 0 1 2; do item q/hosts/$h _20120710213904_$n''_1_h_0_$n; done; done
     fsq scan -a q sh -c 'echo $FSQ_ITEM_HOST $0' > out; for h in h1 h2; do grep $h out | tr '\\n' ' '; echo; done
     head -2 out | sort`,
    ...['h1 0 h1 1 h1 2', 'h2 0 h2 1 h2 2', 'h1 0', 'h2 0'],
  ],
  '`FSQ_ITEM_HOST` outside of scans of hosts': [
    `item q; FSQ_ITEM_HOST=stale fsq scan q sh -c 'echo "\${FSQ_ITEM_HOST-none}"'`,
    'none',
  ],
  '`add-host`, `rm-host`, `down-host` of several queues': [
    `queue q; code fsq add-host h1 nosuch q; ls q/hosts; code fsq down-host h1 nosuch q; ls q/hosts/h1/down
     code fsq rm-host h1 nosuch q; ls q/hosts`,
    ...['111', 'h1', '111', 'q/hosts/h1/down', '111'],
  ],
  '`add-host -f`': [
    'queue q q/hosts/h; item q/hosts/h; item q/hosts/h1; code fsq add-host -f h1 q; where q/hosts/h; where q/hosts/h1',
    ...['0', `queue/${I}`, ''],
  ],
  '`rm-host`, items wait': [
    'queue q; item q/hosts/h1; code fsq rm-host h1 q; ls q/hosts; code fsq rm-host -f h1 q; ls q/hosts',
    ...['111', 'h1', '0'],
  ],
  '`host-dist`, a host cannot take an item': [
    'item q; queue q/hosts/h1 q/hosts/h2; rmdir q/hosts/h1/queue; code fsq host-dist q; where',
    ...['111', `queue/${I}`],
  ],
  '`host-dist`, no hosts': ['item q; code fsq host-dist q; where', '111', `queue/${I}`],
  '`host-dist -g`, no FIFO': [
    'item q; queue q/hosts/h1; code fsq host-dist -g q; where',
    ...['111', `done/${I}`],
  ],
  '`host-dist -S`, `-T`, `-F`': [
    'item q; queue q/hosts/h1; code fsq host-dist -S 7 -T 8 -F 9 q; where',
    ...['0', `done/${I}`],
  ],
  TTL: ['item q; fsq enqueue -e q fresh; fsq scan -t 3600 q echo; ls q/fail', ...['fresh', I]],
  'items with a delay': [`item q; touch -d '1 hour' q/queue/$I; fsq scan q echo; where`, `queue/${I}`],
  'tries, `-m`': [
    `item q; fsq scan q sh -c 'exit 111'; where; rm q/fail/*; item q; fsq scan -m 2 q sh -c 'exit 111'; where`,
    ...[`fail/${I}`, 'queue/_20120710213904_0_1_h_1_a'],
  ],
  entropies: [
    'for n in 10 2; do item q _20120710213904_$n""_1_h_0_$n; done; fsq scan q echo',
    ...['2', '10'],
  ],
  '`%s` in `FSQ_TIMEFMT`': [
    `export FSQ_TIMEFMT=%s TZ=Asia/Tokyo; now=$(date +%s); item q _$((now - 1000))_0_1_h_0_old
     fsq enqueue -e q new; ls q/queue | awk -F_ -v now=$now '{ print ($2 - now < 60 && now - $2 < 1100) }'
     fsq scan -t 500 q echo; ls q/fail | cut -d_ -f7`,
    ...['1', '1', 'new', 'old'],
  ],
  charset: [
    `item q "$(printf '_20120710213903_0_1_h_0_\\351')"; item q; code fsq scan q echo; ls q/fail | wc -l
     code fsq -c utf16 scan q echo; code fsq -c latin-1 scan q echo`,
    ...['a', '0', '1', '100', '0'],
  ],
  '`FSQ_USE_TRIGGER=1`': [
    'export FSQ_USE_TRIGGER=1; fsq install q; stat -c %F q/trigger-s; rm q/trigger-s; code fsq enqueue -e q a',
    ...['fifo', '0'],
  ],
  'mode of the FIFOs': [
    'fsq install -t -a h1 q; stat -c %a q/trigger-s q/hosts-trigger-s',
    ...['640', '2770'],
  ],
  'a name that is taken': [
    'item q; echo other > q/done/$I; code fsq scan q echo; cat q/done/$I; ls q/done | wc -l',
    ...['a', '0', 'other', '2'],
  ],
  'a malformed item': [
    'item q; item q A; item q junk; code fsq scan q echo; where',
    'a',
    '0',
    `done/${I} fail/A fail/junk`,
  ],
  'links, FIFOs and directories in queue/': [
    'item q; echo secret > file; ln -s "$PWD/file" q/queue/_20120710213903_0_1_h_0_l; mkfifo q/queue/_20120710213903_1_1_h_0_f; code fsq scan q sh -c "cat; echo end"; ls q/queue | wc -l',
    ...['end', '0', '2'],
  ],
  'descriptors that a program inherits': [
    `item q; [ "$(sh -c 'ls /proc/$$/fd')" = "$(fsq scan q sh -c 'ls /proc/$$/fd')" ] && echo the same`,
    'the same',
  ],
}

function rows(): string[] {
  const text = fs.readFileSync(new URL('../../docs/coming-from.md', import.meta.url), 'utf8')
  const [, part = ''] = text.split('### Differences in one table')
  return [...part.matchAll(/^\| (.+?) \| .* \| .* \|$/gm)].flatMap(([, first = '']) =>
    first.startsWith('---') ? [] : [first],
  )
}

onLinux('each row of the table is so', async () => {
  expect(rows().toSorted()).toEqual(Object.keys(CHECKS).toSorted())
  const left = Object.entries(CHECKS)
  const found: Record<string, readonly string[]> = {}
  const run = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [row, [script]] = next
      const root = path.join(bed.root, String(left.length))
      fs.mkdirSync(root)
      const { stdout } = await bed.sh(HELP + script, { env: { FSQ_ROOT: root } })
      found[row] = stdout
        .replace(/\n$/, '')
        .split('\n')
        .map((line) => line.trim())
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, run))
  const lines = (wanted: readonly string[]): readonly string[] => (wanted.length > 0 ? wanted : [''])
  expect(found).toEqual(
    Object.fromEntries(Object.entries(CHECKS).map(([row, [, ...wanted]]) => [row, lines(wanted)])),
  )
})
