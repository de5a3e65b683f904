"""TLS over a bare non-blocking socket, so that an encrypted connection waits as a plain one does."""

from __future__ import annotations

import os
import ssl
from typing import Any

from amply_capacity.target.endpoint import CA_BUNDLE_VARIABLE, Endpoint

__all__ = ["TlsChannel", "client_context"]

_RECEIVE_BYTES = 65536


def client_context(endpoint: Endpoint) -> ssl.SSLContext:
    """A context that checks the server's certificate against the endpoint's bundle, else the system's.

    Raises OSError for a bundle that cannot be read.
    """
    bundle = getattr(endpoint, "ca_bundle", None) or os.environ.get(CA_BUNDLE_VARIABLE)
    return ssl.create_default_context(cafile=str(bundle) if bundle else None)


class TlsChannel:
    """`send` and `recv_into` as a non-blocking socket has them, encrypted on the way.

    Encrypted bytes that the socket does not take at once stay here until the next call.
    """

    def __init__(self, socket: Any, context: ssl.SSLContext, host: str) -> None:
        self._socket = socket
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._unsent = b""

    def shake_hands(self) -> bool:
        """Take the handshake as far as it goes; whether it is complete. Raises OSError when it fails."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                try:
                    self._fill()
                except BlockingIOError:
                    return False
            else:
                self._flush()
                return True

    def send(self, data: bytes) -> int:
        """All of `data`. Raises BlockingIOError until it has left whole: call again with the same data."""
        if not self._unsent:
            self._tls.write(data)
        self._flush()
        if self._unsent:
            raise BlockingIOError
        return len(data)

    def recv_into(self, buffer: bytearray) -> int:
        """Decrypt into `buffer`; how many bytes, 0 at the end. Raises BlockingIOError for nothing yet.

        As many as there are or fit: nothing wakes whoever waits for the socket because of bytes that have
        left it.
        """
        room, count = memoryview(buffer), 0
        while count < len(room):
            try:
                more: int = self._tls.read(len(room) - count, room[count:])  # type: ignore[assignment]  # of typeshed
            except ssl.SSLWantReadError:
                if count:
                    break
                self._fill()
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
                break
            else:
                if not more:
                    break
                count += more
        return count

    def _fill(self) -> None:
        data = self._socket.recv(_RECEIVE_BYTES)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _flush(self) -> None:
        self._unsent += self._outgoing.read()
        while self._unsent:
            try:
                self._unsent = self._unsent[self._socket.send(self._unsent):]
            except BlockingIOError:
                return
