"""The dashboard's addresses: who may open which page, and in which language. What stands on a page is made in `shown`."""

from collections.abc import Awaitable, Callable, Sequence

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from pipeline.errors import PipelineError
from pipeline.languages import LANGUAGES
from pipeline.logs import log
from pipeline.settings import Settings
from pipeline.state import State
from pipeline.web import signin
from pipeline.web.archive import Archive
from pipeline.web.board import Board
from pipeline.web.page import ASSETS, Press, Viewer, asset
from pipeline.web.sessions import Sessions
from pipeline.web.shown import Shown

ASSETS_PREFIX = "/assets/"
LANGUAGE_COOKIE = "payback-lang"
LANGUAGE_SECONDS = 365 * 24 * 3600
EVERYBODY, STAFF, OWNERS = ("owner", "ops", "guest"), ("owner", "ops"), ("owner",)

Make = Callable[[Request, Viewer], Response]
Answer = Callable[[Request], Awaitable[Response]]


class Dashboard:
    """Mounted by `pipeline.web.app`."""

    def __init__(self, current: Callable[[], Settings], board: Board) -> None:
        """`current` gives the configuration as it is now: a user whose password was changed is out at once."""
        self._current, self._board, self._limits = current, board, signin.Limits()
        self._take(current())

    def _take(self, settings: Settings) -> None:
        self._settings = settings
        self._desk = signin.Desk(Sessions(State(settings.home), settings.dashboard.users, settings.hash_key), self._limits)
        self._press = Press(settings)
        self._shown = Shown(settings, self._board, Archive(settings), self._press)

    def _renew(self) -> None:
        settings = self._current()
        if settings is not self._settings:
            self._take(settings)

    def routes(self) -> Sequence[BaseRoute]:
        """Every address; all but signing in and out are read only."""
        launch = "/launches/{launch}"
        return [
            Route("/", self._page(OWNERS, "overview")),
            Route("/sync", self._page(EVERYBODY, "sync")),
            Route("/quality", self._page(STAFF, "quality")),
            Route(launch, self._page(OWNERS, "launch")),
            Route(f"{launch}/compare", self._page(OWNERS, "compare")),
            Route(f"{launch}/snapshots/{{key}}", self._page(OWNERS, "snapshot")),
            Route(f"{launch}/snapshots/{{key}}/{{file}}", self._page(OWNERS, "file")),
            Route(signin.PATH, self._sign_in, methods=["GET", "POST"]),
            Route("/sign-out", self._sign_out, methods=["POST"]),
            Route(f"{ASSETS_PREFIX}{{name}}", self._asset),
        ]

    async def missing(self, request: Request, error: Exception) -> Response:
        """What a wrong address answers."""
        return await self._page(EVERYBODY, "missing")(request)

    def _page(self, roles: Sequence[str], page: str) -> Answer:
        """A page of `Shown`, made on a thread, for whoever may see it; everybody else is sent to sign in or told why not."""

        async def answer(request: Request) -> Response:
            return self._remembering(request, await run_in_threadpool(self._made, request, roles, page))

        return answer

    def _made(self, request: Request, roles: Sequence[str], page: str) -> Response:
        self._renew()
        viewer = None
        try:
            viewer = self._viewer(request)
            if viewer is None:
                target = signin.here(request, request.url.query)
                query = "" if target == "/" else f"?{signin.query(next=target)}"
                return RedirectResponse(f"{signin.PATH}{query}", 303)
            if viewer.role not in roles:
                if request.url.path == "/":  # the front page of those who are not owners
                    return RedirectResponse("/sync", 303)
                return self._shown.forbidden(request, viewer)
            make: Make = getattr(self._shown, page)
            return make(request, viewer)
        except PipelineError as error:
            log.warning("page_not_shown", error=str(error), hint=error.hint)
            return self._shown.away(request, viewer or self._stranger(request))

    def _viewer(self, request: Request) -> Viewer | None:
        """Who looks; None must sign in first."""
        if not self._settings.dashboard.users:
            return Viewer("", "guest", self._language(request, None), "")
        session = self._desk.session(request)
        if session is None:
            return None
        language = self._language(request, session.user.language)
        return Viewer(session.user.name, session.user.role, language, self._desk.page_token(request))

    def _stranger(self, request: Request) -> Viewer:
        return Viewer("", "", self._language(request, None), "")

    def _language(self, request: Request, of_user: str | None) -> str:
        """Asked for now, asked for before, the user's, the business's."""
        wished = (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE), of_user)
        return next((one for one in wished if one in LANGUAGES), self._settings.business.language)

    def _remembering(self, request: Request, answer: Response) -> Response:
        wished = request.query_params.get("lang")
        if wished in LANGUAGES:
            is_secure = signin.is_encrypted(request)
            answer.set_cookie(
                LANGUAGE_COOKIE, wished, max_age=LANGUAGE_SECONDS, httponly=True, samesite="strict", secure=is_secure
            )
        return answer

    async def _sign_in(self, request: Request) -> Response:
        self._renew()
        if not self._settings.dashboard.users:
            return self._remembering(request, self._shown.forbidden(request, self._stranger(request)))
        if request.method != "POST":
            return self._remembering(request, await run_in_threadpool(self._door, request))
        fields = await signin.fields_of(request)
        if fields is None:
            return PlainTextResponse("send the form of /sign-in\n", 400, {"Connection": "close"})
        return await run_in_threadpool(self._try, request, fields)

    def _door(self, request: Request) -> Response:
        target = signin.own_path(request.query_params.get("next", "/"))
        try:
            if self._desk.session(request) is not None:
                return RedirectResponse(target, 303)
        except PipelineError as error:  # the page itself needs no state
            log.warning("session_not_read", error=str(error), hint=error.hint)
        return self._form(request, target)

    def _try(self, request: Request, fields: dict[str, str]) -> Response:
        target = signin.own_path(fields.get("next", "/"))
        if not self._desk.is_own_form(request, fields):
            return self._form(request, target, "stale", 403)
        try:
            outcome = self._desk.try_password(fields.get("name", ""), fields.get("password", ""), signin.address_of(request))
        except PipelineError as error:
            log.error("session_not_stored", error=str(error), hint=error.hint)
            return self._shown.away(request, self._stranger(request))
        if outcome.session_id:
            log.info("signed_in", user=fields["name"])
            return self._desk.let_in(request, outcome.session_id, target)
        if outcome.code == "limited":
            log.warning("sign_in_limited", address=signin.address_of(request))
            answer = self._form(request, target, "limited", 429, outcome.wait)
            answer.headers["Retry-After"] = str(round(outcome.wait) + 1)
            return answer
        log.warning("sign_in_refused", address=signin.address_of(request))
        return self._form(request, target, "wrong", 403)

    def _form(self, request: Request, target: str, problem: str = "", status: int = 200, wait: float = 0.0) -> Response:
        token, cookie = self._desk.door_token(request)
        language = self._language(request, None)
        numbers = self._press.numbers(language)
        said = numbers.words.say(f"dash.signin.{problem}") if problem and problem != "limited" else ""
        if problem == "limited":
            said = numbers.count("dash.signin.limited", round(wait) + 1)
        text = self._press.page(
            "signin", Viewer("", "", language, token), request, title=numbers.words.say("dash.signin.title"), target=target,
            problem=said,
        )  # fmt: skip
        answer = HTMLResponse(text, status)
        self._desk.give_form_cookie(request, answer, cookie)
        return answer

    async def _sign_out(self, request: Request) -> Response:
        self._renew()
        fields = await signin.fields_of(request)
        if fields is None or not self._desk.is_own_form(request, fields):
            return PlainTextResponse("use the button of the page\n", 403, {"Connection": "close"})
        try:
            return await run_in_threadpool(self._desk.let_out, request)
        except PipelineError as error:
            log.error("session_not_ended", error=str(error), hint=error.hint)
            return self._shown.away(request, self._stranger(request))

    async def _asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in ASSETS:
            return PlainTextResponse("not found\n", 404)
        is_named = "v" in request.query_params  # by content: it never changes
        cache = "public, max-age=31536000, immutable" if is_named else "no-cache"
        return Response(asset(name), media_type=ASSETS[name], headers={"Cache-Control": cache})
