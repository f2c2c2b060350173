"""The web application: which address answers what. Everything it shows was stored by a run; it changes nothing but sessions."""

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from connectors.secrets import Secret, mask
from pipeline.settings import Settings
from pipeline.web import hooks
from pipeline.web.board import Board
from pipeline.web.dashboard import ASSETS_PREFIX, Dashboard
from pipeline.web.gauges import Gauges
from pipeline.web.guard import Guard
from pipeline.web.page import POLICY

# Health is asked by machines that know no password and learns nothing; webhooks prove themselves by their token.
OPEN_PATHS = ("/healthz", hooks.PREFIX)
MACHINE_PATHS = ("/readyz", "/metrics")


def build_app(current: Callable[[], Settings], board: Board, password: Secret | None = None) -> ASGIApp:
    """The application; `current` gives the configuration as it is now. With users in `[dashboard]` people sign in. Without, a
    `password` is asked for at every address but the open ones (basic auth, any user name), or only requests that name this
    machine as their host are answered; no figures then."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Gauges(board))

    def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        standing = await run_in_threadpool(board.standing)
        reasons = [mask(reason.text, current().secrets()) for reason in standing.reasons]
        return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def metrics(request: Request) -> Response:
        return Response(await run_in_threadpool(generate_latest, registry), media_type=CONTENT_TYPE_LATEST)

    dashboard = Dashboard(current, board)

    async def missing(request: Request, error: Exception) -> Response:
        is_open = request.url.path.startswith((hooks.PREFIX, ASSETS_PREFIX))  # nobody was asked who he is
        return PlainTextResponse("not found\n", 404) if is_open else await dashboard.missing(request, error)

    app = Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
            *hooks.routes(current, registry),
            *dashboard.routes(),
        ],
        exception_handlers={404: missing},
    )
    app.router.redirect_slashes = False  # its redirects repeat the host that the request names, and forget https
    machines = MACHINE_PATHS if current().dashboard.users else None
    return Guard(app, (*OPEN_PATHS, ASSETS_PREFIX), password, policy=POLICY, machine_paths=machines)
