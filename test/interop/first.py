"""A producer and a worker that make the calls of the first implementation, in its order and without its bugs' cures.

    first.py '{"command": "produce", "root": ..., "queue": ..., ...}'

Each line of its output is an object of JSON. It is no copy: it makes the same calls on files, as a program of that time would.
"""
import base64
import errno
import fcntl
import json
import os
import select
import socket
import sys
import time

job = json.loads(sys.argv[1])
base = os.path.join(job['root'], job['queue'])
DELIMITER, ESCAPE = '_', '%'
HOST = socket.gethostname()


def say(**line):
    print(json.dumps(line), flush=True)


def place(*parts):
    return os.path.join(base, *parts)


def encode(text):
    return ''.join('%s%02x' % (ESCAPE, ord(c)) if c in (DELIMITER, ESCAPE, '/') else c for c in text)


def decode(text):
    decoded, at = '', 0
    while at < len(text):
        if text[at] == ESCAPE:
            decoded += chr(int(text[at + 1:at + 3], 16))
            at += 3
        else:
            decoded += text[at]
            at += 1
    return decoded


def construct(fields):
    return ''.join(DELIMITER + encode(str(field)) for field in fields)


def deconstruct(name):
    return [decode(field) for field in name[1:].split(name[0])]


def enqueue(content, args, entropy):
    """The order of its calls: tmp/ exclusively, write, fsync, link, unlink; no directory is ever made durable."""
    name = construct([time.strftime('%Y%m%d%H%M%S'), entropy, os.getpid(), HOST, 0] + list(args))
    descriptor = os.open(place('tmp', name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    with os.fdopen(descriptor, 'wb') as target:
        target.write(content)
        target.flush()
        os.fsync(target.fileno())
    os.link(place('tmp', name), place('queue', name))
    os.unlink(place('tmp', name))
    return name


def produce():
    content = base64.b64decode(job.get('content', ''))
    for index in range(job.get('count', 1)):
        say(id=enqueue(content, job.get('args', [index]), index))


def names():
    """For each list of arguments, the name that is written for it, and what is read in the name that ours has written."""
    for args, ours in job['pairs']:
        say(name=construct(args), args=deconstruct(ours))


def claim(name):
    """Open, lock, and nothing after it: whether the name still leads to what has been locked is not looked at."""
    try:
        item = open(place('queue', name), 'rb')
        fcntl.flock(item, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return item
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EAGAIN):
            raise
        return None


def scan():
    for name in sorted(os.listdir(place('queue'))):
        if os.path.exists(place('down')):
            say(down=True)
            return
        item = claim(name)
        if item is not None:
            with item:
                yield name, item


def finish(name):
    """By one rename, while the lock is held."""
    fields = deconstruct(name)
    tries = int(fields[4]) + 1
    limit = job.get('maxTries', 1)
    if job.get('action') == 'done':
        target = place('done', name)
    elif job.get('action') == 'fail' or 0 < limit <= tries:
        target = place('fail', name)
    else:
        target = place('queue', construct(fields[:4] + [tries] + fields[5:]))
    os.rename(place('queue', name), target)


def run(name, item):
    say(ran=name, args=deconstruct(name)[5:], content=base64.b64encode(item.read()).decode())
    try:
        finish(name)
        say(finished=name)
    except FileNotFoundError:
        # The price of the missing check: another worker had finished it, and it ran once more.
        say(lost=name)


def is_told():
    return bool(select.select([sys.stdin], [], [], 0)[0])


def work():
    say(ready=True)
    while True:
        for name, item in scan():
            run(name, item)
            if is_told():
                break
        if job.get('once') or is_told():
            return
        time.sleep(0.001)


def hold():
    for name, _item in scan():
        say(held=name)
        sys.stdin.readline()
        return
    say(held=None)


def down():
    os.close(os.open(place('down'), os.O_WRONLY | os.O_CREAT, 0o640))


def up():
    os.unlink(place('down'))


def pull():
    """Without a listener this is an error, ENXIO."""
    trigger = os.open(place('trigger-s'), os.O_WRONLY | os.O_NONBLOCK)
    os.write(trigger, b'\0')
    os.close(trigger)


def listen():
    """Opened for writing as well, so that it does not wait for the first who pulls."""
    trigger = os.open(place('trigger-s'), os.O_RDWR)
    say(listening=True)
    say(pulled=len(os.read(trigger, 1)))


{command.__name__: command for command in (produce, names, work, hold, down, up, pull, listen)}[job['command']]()
say(end=True)
