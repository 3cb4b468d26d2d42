"""Kernels that need no seconds to import torch: each is a fork of one process that has imported it.

    with warm.kernels() as environment: ...     commands with this environment start their kernels so

A kernel specification named python3 comes first in JUPYTER_PATH. Its command stands in for the kernel's process: it asks
the warm process for a fork, passes on an interrupt, and the fork ends when it does. Where nobody answers, it becomes an
ordinary kernel. The wheel's and the batch's own tests start theirs without.
"""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INTERRUPT = b"i"
HERE = Path(__file__).resolve()


# the warm process

def serve(address: str) -> None:
    "Import once; then a fork for each kernel that is asked for, until the process that started this one is gone."
    from ipykernel import kernelapp  # noqa: F401

    import engine
    engine.preload()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)     # nobody asks how a fork ended
    parent = os.getppid()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        listening.settimeout(1)
        while os.getppid() == parent:
            try: asked, _ = listening.accept()
            except TimeoutError: continue
            if not os.fork():
                listening.close()
                become_kernel(asked)
            asked.close()


def become_kernel(asked: socket.socket) -> None:
    "What a fork does: it takes streams, environment and folder of who asked, and is a kernel; never returns."
    asked.setblocking(True)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, streams, _, _ = socket.recv_fds(asked, 2**20, 3)
    for number, stream in enumerate(streams): os.dup2(stream, number)
    wanted = json.loads(message)
    os.setsid()
    os.environ.clear()
    os.environ.update(wanted["environment"])
    os.chdir(wanted["folder"])
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [wanted["folder"], *filter(None, paths), *(p for p in sys.path if Path(p) != HERE.parent)]
    threading.Thread(target=obey, args=[asked], daemon=True).start()
    import torch
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1))
    from ipykernel.kernelapp import launch_new_instance
    sys.argv = ["ipykernel_launcher", *wanted["arguments"]]
    try: launch_new_instance()
    finally:
        sys.stdout.flush()
        os._exit(0)


def obey(asked: socket.socket) -> None:
    "Interrupts reach the kernel; the end of who asked for it ends it."
    while word := asked.recv(1):
        if word == INTERRUPT: os.kill(os.getpid(), signal.SIGINT)
    os._exit(1)


# who asks

def stand_in(address: str, arguments: list[str]) -> None:
    "Be the kernel's process for who started it."
    wanted = dict(arguments=arguments, environment=dict(os.environ), folder=os.getcwd())
    with socket.socket(socket.AF_UNIX) as kernel:
        try: kernel.connect(address)
        except OSError: os.execv(sys.executable, [sys.executable, "-m", "ipykernel_launcher", *arguments])
        signal.signal(signal.SIGINT, lambda *_: kernel.send(INTERRUPT))
        socket.send_fds(kernel, [json.dumps(wanted).encode()], [0, 1, 2])
        try: kernel.recv(1)                # nothing comes: the end
        except ConnectionError: return


# for the checks

@contextmanager
def kernels() -> Iterator[dict[str, str]]:
    "An environment whose notebooks get warm kernels."
    with tempfile.TemporaryDirectory() as folder:
        address = f"{folder}/socket"
        spec = Path(folder)/"kernels/python3/kernel.json"
        spec.parent.mkdir(parents=True)
        command = [sys.executable, "-S", str(HERE), "run", address, "-f", "{connection_file}"]
        spec.write_text(json.dumps(dict(argv=command, display_name="Python 3", language="python")))
        quiet = dict(os.environ, OMP_NUM_THREADS="1")
        process = subprocess.Popen([sys.executable, str(HERE), "serve", address], env=quiet, stdin=subprocess.DEVNULL)
        end = time.time() + 60
        while not Path(address).exists() and process.poll() is None and time.time() < end: time.sleep(0.1)
        others = [p for p in [os.environ.get("JUPYTER_PATH", "")] if p]
        try: yield {**os.environ, "JUPYTER_PATH": os.pathsep.join([folder, *others])}
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    if sys.argv[1] == "serve": serve(sys.argv[2])
    else: stand_in(sys.argv[2], sys.argv[3:])
