"""Connections that know whom they may reach and that can be cut at any moment: the two things urllib3 leaves open."""

import ipaddress
import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection

from connectors.errors import OptionError

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_here = threading.local()  # `.cut`: the deadline of the exchange this thread is in


class Cut:
    """A deadline for a whole exchange: name, connection, headers and body. Read timeouts start anew with every byte.

    When it is due, the socket is shut down under whoever waits for it.
    """

    def __init__(self, seconds: float) -> None:
        self.is_due = False
        self._is_over = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._fire)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        _here.cut = self
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._lock:  # from now on the socket may belong to another exchange
            self._is_over = True
        self._timer.cancel()
        _here.cut = None

    def hold(self, held: socket.socket) -> None:
        """This is the socket to shut down."""
        with self._lock:
            self._socket = held
            if self.is_due:
                self._shut()

    def _fire(self) -> None:
        with self._lock:
            if not self._is_over:
                self.is_due = True
                self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # closed or handed on meanwhile
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # TLS's own forgets its state under the reader


def _hold(held: socket.socket | None) -> None:
    cut: Cut | None = getattr(_here, "cut", None)
    if cut is not None and held is not None:
        cut.hold(held)


class _CuttableHttp(HTTPConnection):
    def request(self, *arguments: Any, **options: Any) -> None:
        _hold(self.sock)  # a connection used before
        super().request(*arguments, **options)

    def connect(self) -> None:
        super().connect()
        _hold(self.sock)

    def _new_conn(self) -> socket.socket:
        opened = super()._new_conn()
        _hold(opened)
        return opened


class _CuttableHttps(HTTPSConnection):
    def request(self, *arguments: Any, **options: Any) -> None:
        _hold(self.sock)
        super().request(*arguments, **options)

    def connect(self) -> None:
        super().connect()
        _hold(self.sock)  # TLS has put a socket of its own in place of the first one

    def _new_conn(self) -> socket.socket:
        opened = super()._new_conn()
        _hold(opened)
        return opened


class _PublicHttps(_CuttableHttps):
    """Reaches public addresses only. The address that was checked is the one connected to: a name cannot change in between."""

    def _new_conn(self) -> socket.socket:
        timeout = self.timeout if isinstance(self.timeout, (int, float)) else None
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        public = [address for address in addresses if is_public(address)]
        if not public:
            raise OptionError(
                f"{self.host} is an address inside a private network ({', '.join(addresses[:3])}): nothing was sent there",
                hint="check the address; if the CRM really runs in your own network, set private_network = true for the source",
            )
        last: Exception | None = None
        for address in public:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                break
            try:
                opened = create_connection((address, self.port), left, self.source_address, self.socket_options)
            except TimeoutError as error:
                last = ConnectTimeoutError(self, f"no connection within {timeout} s")
                last.__cause__ = error
            except OSError as error:
                last = NewConnectionError(self, f"no connection: {error}")
                last.__cause__ = error
            else:
                _hold(opened)
                return opened
        raise last or ConnectTimeoutError(self, f"no connection within {timeout} s")


class _CuttableHttpPool(HTTPConnectionPool):
    ConnectionCls = _CuttableHttp


class _CuttableHttpsPool(HTTPSConnectionPool):
    ConnectionCls = _CuttableHttps


class _PublicHttpsPool(HTTPSConnectionPool):
    ConnectionCls = _PublicHttps


class Adapter(HTTPAdapter):
    """What a session sends through. A proxy looks names up itself and stands in the private network by nature: not checked."""

    def __init__(self, pool: int, *, is_public_only: bool) -> None:
        self._direct = _PublicHttpsPool if is_public_only else _CuttableHttpsPool
        super().__init__(pool_connections=1, pool_maxsize=max(1, pool))

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _CuttableHttpPool, "https": self._direct}

    def proxy_manager_for(self, proxy: str, **options: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(proxy, **options)
        if type(manager) is ProxyManager:  # one for SOCKS brings connections of its own
            manager.pool_classes_by_scheme = {"http": _CuttableHttpPool, "https": _CuttableHttpsPool}
        return manager


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public Internet, and so does the IPv4 address that an IPv6 one may carry."""
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address):
        carried = found.ipv4_mapped or found.sixtofour
        if carried is None and found in _NAT64:
            carried = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if carried is not None:
            return is_public(str(carried))
    return found.is_global and not found.is_multicast


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself, whatever any name server says."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
