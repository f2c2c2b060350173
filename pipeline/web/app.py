"""The web application: which address answers what. Everything it shows was stored by a run; it changes nothing itself."""

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from connectors.secrets import Secret, mask
from pipeline.settings import Settings
from pipeline.web import hooks
from pipeline.web.board import Board
from pipeline.web.gauges import Gauges
from pipeline.web.guard import Guard
from pipeline.web.page import STYLE_HASH, render_status

# Health is asked by machines that know no password and learns nothing; webhooks prove themselves by their token.
OPEN_PATHS = ("/healthz", hooks.PREFIX)


def build_app(current: Callable[[], Settings], board: Board, password: Secret | None = None) -> ASGIApp:
    """The application; `current` gives the configuration as it is now. With a `password` every address but the open ones
    asks for it (basic auth, any user name); without one it answers only requests that name this machine as their host."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Gauges(board))

    def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        standing = await run_in_threadpool(board.standing)
        reasons = [mask(reason, current().secrets()) for reason in standing.reasons]
        return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def metrics(request: Request) -> Response:
        return Response(await run_in_threadpool(generate_latest, registry), media_type=CONTENT_TYPE_LATEST)

    async def status(request: Request) -> Response:
        standing = await run_in_threadpool(board.standing)
        settings = current()
        return HTMLResponse(mask(render_status(standing, settings), settings.secrets()))

    app = Starlette(
        routes=[
            Route("/", status),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
            *hooks.routes(current, registry),
        ]
    )
    return Guard(app, OPEN_PATHS, STYLE_HASH, password)
