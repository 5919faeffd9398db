"""TLS for servers that know none: certificates made on the spot, and a door before a port of this machine."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Certificates:
    """An authority of our own, and what it signed: for the server at 127.0.0.1, and for a client."""

    folder: Path

    @property
    def ca(self) -> str:
        return str(self.folder / "ca.pem")

    def of(self, name: str) -> tuple[str, str]:
        """Certificate and key of `server` or `client`."""
        return str(self.folder / f"{name}.pem"), str(self.folder / f"{name}.key")


def certificates(folder: Path) -> Certificates:
    """Made with the openssl command, which is where OpenSSL is."""
    tool = shutil.which("openssl")
    assert tool is not None, "the openssl command is missing"

    def openssl(*words: str) -> None:
        subprocess.run([str(tool), *words], cwd=folder, check=True, capture_output=True)

    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    signs = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")  # Python 3.13 asks for it
    openssl(
        *new, *signs, "-x509", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2"
    )
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\nauthorityKeyIdentifier=keyid")
    for name in ("server", "client"):
        openssl(*new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        signing = (
            "x509",
            "-req",
            "-in",
            f"{name}.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
        )
        openssl(*signing, "-days", "2", "-extfile", "names", "-out", f"{name}.pem")
    return Certificates(folder)


class TlsDoor:
    """Listens with TLS, asks clients for their certificate if it knows whom to believe, and hands on to a port here."""

    def __init__(self, behind: int, own: tuple[str, str], believes: str = "") -> None:
        self._behind = behind
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*own)
        if believes:
            self._context.load_verify_locations(believes)
            self._context.verify_mode = ssl.CERT_REQUIRED
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Nobody comes in any more; who is in is sent away."""
        for each in (self._listening, *self._open):
            _shut(each)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self._open.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            inside = self._context.wrap_socket(client, server_side=True)
            behind = socket.create_connection(("127.0.0.1", self._behind))
        except OSError:  # no certificate, or none of ours
            _shut(client)
            return
        self._open += [inside, behind]
        threading.Thread(target=_pump, args=(behind, inside), daemon=True).start()
        _pump(inside, behind)


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(CHUNK):
            target.sendall(data)
    except (OSError, ValueError):
        pass
    finally:
        _shut(source)
        _shut(target)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
