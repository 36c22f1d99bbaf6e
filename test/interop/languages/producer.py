#!/usr/bin/env python3
"""producer.py QUEUE [ARGUMENT...] <CONTENTS: adds an item to the queue in this directory, and prints its name."""
import os, shutil, sys, tempfile, time

queue, arguments = sys.argv[1], sys.argv[2:]


def encoded(field):
    return field.replace("%", "%25").replace("_", "%5f").replace("/", "%2f")


def link(private):
    for entropy in range(100):
        fields = [time.strftime("%Y%m%d%H%M%S"), str(entropy), str(os.getpid()), os.uname().nodename, "0"]
        name = "_" + "_".join(map(encoded, fields + arguments))
        try:
            os.link(private, os.path.join(queue, "queue", name))  # never replaces a file
            return name
        except FileExistsError:
            continue
    sys.exit("no free name")


with tempfile.NamedTemporaryFile(dir=os.path.join(queue, "tmp")) as file:  # its name is removed at the end
    shutil.copyfileobj(sys.stdin.buffer, file)
    file.flush()
    os.fchmod(file.fileno(), 0o640)
    os.fsync(file.fileno())
    name = link(file.name)
directory = os.open(os.path.join(queue, "queue"), os.O_RDONLY)
os.fsync(directory)
print(name)
