"""An SSH server on loopback that serves one folder by SFTP to whoever has its client key, in a process of its own."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncssh


class Folder(asyncssh.SFTPServer):
    """One folder as the root of the server. The whole server is killed once `bytes_left` have been read."""

    root = "."
    bytes_left = float("inf")

    def __init__(self, channel: asyncssh.SSHServerChannel):
        super().__init__(channel, chroot=self.root)

    def read(self, *args) -> bytes:
        content = super().read(*args)
        Folder.bytes_left -= len(content)
        if Folder.bytes_left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return content


def make_keys(folder: Path) -> None:
    """The keys `host` and `client`, if they are not there yet."""
    folder.mkdir(exist_ok=True)
    for name in ("host", "client"):
        if not (folder / name).exists():
            key = asyncssh.generate_private_key("ssh-ed25519")
            key.write_private_key(folder / name)
            key.write_public_key(folder / f"{name}.pub")
            (folder / name).chmod(0o600)


async def serve(keys: Path, port: int) -> None:
    """Serve until killed; the port is printed once connections are accepted."""
    server = await asyncssh.listen(
        "127.0.0.1",
        port,
        server_host_keys=[keys / "host"],
        authorized_client_keys=str(keys / "client.pub"),
        sftp_factory=Folder,
    )
    print(server.get_port(), flush=True)
    await server.wait_closed()


@contextmanager
def running(folder: Path, keys: Path, port: int = 0, bytes_left: float = float("inf")) -> Iterator[int]:
    """A server of `folder`, on a free port or on `port`, which it yields; killed and gone when the block ends."""
    make_keys(keys)
    command = [sys.executable, __file__, str(folder), str(keys), str(port), str(bytes_left)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


if __name__ == "__main__":
    Folder.root, Folder.bytes_left = sys.argv[1], float(sys.argv[4])
    asyncio.run(serve(Path(sys.argv[2]), int(sys.argv[3])))
