"""Headings of exports of support requests, as help desks and chat platforms write them in Russian and English."""

from collections.abc import Mapping

# Our field -> headings in the order of preference, already plain (`headings.plain`).
REQUEST_FIELDS: Mapping[str, tuple[str, ...]] = {
    "id": (
        "id", "№", "номер", "id обращения", "номер обращения", "id тикета", "номер тикета", "id диалога", "id чата",
        "id запроса", "номер запроса", "request id", "ticket id", "ticket", "ticket number", "dialog id", "conversation id",
        "chat id", "session id",
    ),
    "created": (
        "дата создания", "дата и время создания", "создано", "создан", "дата обращения", "дата поступления", "поступило",
        "открыт", "открыто", "дата открытия", "начало диалога", "начало чата", "created", "created at", "created on",
        "creation date", "date created", "opened", "opened at", "started at", "request time",
    ),
    "modified": (
        "дата изменения", "изменено", "изменен", "обновлено", "обновлен", "дата обновления", "modified", "modified at", "updated",
        "updated at", "last updated",
    ),
    "channel": ("канал", "канал обращения", "мессенджер", "channel", "via", "messenger"),
    "tags": ("теги", "тег", "метки", "тематика", "тема обращения", "категория", "tags", "tag", "labels", "category"),
    "priority": ("приоритет", "срочность", "priority", "urgency"),
    "first_reply": (
        "первый ответ", "дата первого ответа", "дата и время первого ответа", "время первого ответа", "ответ дан",
        "first reply", "first reply at", "first response", "first response at", "first replied at", "reply start",
    ),
    "reply_minutes": (
        "время первого ответа, мин", "время первого ответа (мин)", "время первого ответа мин", "первый ответ, мин",
        "первый ответ (мин)", "минут до первого ответа", "first reply minutes", "first reply time in minutes",
        "first reply time (min)", "first response time (min)", "first response minutes",
    ),
    "closed": (
        "закрыт", "закрыто", "дата закрытия", "дата и время закрытия", "решен", "решено", "дата решения", "завершен", "завершено",
        "closed", "closed at", "closed on", "resolved", "resolved at", "solved at", "close date",
    ),
    "closed_by": ("кем закрыт", "кем закрыто", "кто закрыл", "закрыл", "closed by", "resolved by", "solved by"),
    "by_bot": ("закрыт ботом", "закрыто ботом", "решен ботом", "бот", "closed by bot", "resolved by bot", "bot"),
    "csat": (
        "оценка", "оценка клиента", "оценка обращения", "оценка диалога", "удовлетворенность", "csat", "satisfaction",
        "satisfaction score", "rating", "customer rating",
    ),
    "nps": ("nps", "оценка nps", "nps score", "готовность рекомендовать"),
    "lead": ("id лида", "лид", "lead id", "lead"),
    "deal": ("id сделки", "сделка", "deal id", "deal"),
    "contact": ("id контакта", "contact id"),
    "phone": ("телефон", "телефон клиента", "мобильный телефон", "номер телефона", "phone", "phone number", "client phone",
              "customer phone", "mobile"),
    "email": ("e mail", "email", "почта", "e mail клиента", "email клиента", "customer email", "client email", "requester email"),
}  # fmt: skip

REQUEST_HINTS = {
    "id": 'export the number of the request with it, or say which column it is: columns.id = "..."',
    "created": 'export when the request came, or say which column it is: columns.created = "..."',
}
# Without these a figure will be missing; a request that names nobody cannot be joined to a purchase.
REQUEST_EXPECTED = {"first_reply": "warning", "closed": "warning", "closed_by": "info", "csat": "info", "priority": "info"}
LINKS = ("phone", "email", "lead", "deal", "contact")
