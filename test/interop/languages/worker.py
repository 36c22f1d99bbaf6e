#!/usr/bin/env python3
"""worker.py QUEUE COMMAND [ARGUMENT...]: runs the command for each item: contents on standard input, name as last argument."""
import fcntl, os, subprocess, sys, time

queue, command = sys.argv[1], sys.argv[2:]


def claim(item, ends):
    file = open(os.open(item, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb", buffering=0)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    opened = os.fstat(file.fileno())
    if not os.path.samestat(opened, os.lstat(item)):
        return None  # another worker finished it between our open and our lock
    for end in filter(os.path.lexists, ends):
        if os.path.samestat(opened, os.lstat(end)):
            os.unlink(item)  # a worker died between link and unlink
        return None
    return file if opened.st_mtime_ns <= max(opened.st_ctime_ns, time.time_ns()) else None  # None: delayed


def work(name):
    item, done, fail = (f"{queue}/{directory}/{name}" for directory in ("queue", "done", "fail"))
    try:
        file = claim(item, (done, fail))
    except (FileNotFoundError, BlockingIOError):
        return  # another worker has finished it, or has the lock
    if file:
        result = subprocess.run([*command, name], stdin=file)
        os.link(item, fail if result.returncode else done)  # never replaces a file
        os.unlink(item)
        fcntl.flock(file, fcntl.LOCK_UN)


while not (os.path.lexists(f"{queue}/down") or os.path.lexists(f"{queue}/lock-fcntl")):
    for name in sorted(entry.name for entry in os.scandir(f"{queue}/queue") if entry.is_file(follow_symlinks=False)):
        if name.count("_") > 4 and not os.path.lexists(f"{queue}/down"):
            work(name)
    time.sleep(1)
sys.exit(f"{queue} is down, or worked with other locks")
