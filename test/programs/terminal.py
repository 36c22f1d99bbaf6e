"""Runs a script on a terminal of its own: { script, steps }. Says what has come, and whether the terminal is as it was before.

Steps: { "wait": text }, which text must come after that of the last wait; { "send": keys }; { "size": [columns, lines] };
{ "kill": signal }, to the processes in the foreground; { "run": command }, elsewhere; { "close": true }, which
takes the terminal away.
"""
import fcntl, json, os, pty, select, signal, struct, sys, termios, time

PATIENCE = 40
job = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    os.execvp('sh', ['sh', '-c', job['script']])


def resize(columns, lines):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('HHHH', lines, columns, 0, 0))


def mode():
    return [flags for flags in termios.tcgetattr(terminal)[:4]]


output = b''
is_over = False


def read(seconds):
    """False: the script has ended."""
    global output, is_over
    if not select.select([terminal], [], [], seconds)[0]:
        return True
    try:
        more = os.read(terminal, 65536)
    except OSError:
        more = b''
    output += more
    is_over = more == b''
    return not is_over


resize(*job.get('size', [80, 24]))
before = mode()
seen = 0
problem = None
for step in job['steps']:
    if 'wait' in step:
        deadline = time.monotonic() + PATIENCE
        while (at := output.find(step['wait'].encode(), seen)) < 0 and not is_over and time.monotonic() < deadline:
            read(1)
        if at < 0:
            problem = 'has not come: ' + step['wait']
            break
        seen = at + len(step['wait'].encode())
    elif 'send' in step:
        os.write(terminal, step['send'].encode())
    elif 'size' in step:
        resize(*step['size'])
    elif 'kill' in step:
        os.killpg(os.tcgetpgrp(terminal), getattr(signal, step['kill']))
    elif 'run' in step:
        os.system(step['run'])
    elif 'close' in step:
        os.close(terminal)
        is_over = True
if problem is not None:
    os.kill(pid, signal.SIGKILL)
while not is_over and read(PATIENCE):
    pass
restored = None if any('close' in step for step in job['steps']) else mode() == before
_, status = os.waitpid(pid, 0)
print(json.dumps({
    'problem': problem,
    'code': os.waitstatus_to_exitcode(status),
    'output': output.decode(errors='replace'),
    'isRestored': restored,
}))
