"""Fields of leads, deals, contacts and stage history, in the order a portal prints them (reference 3.4-3.9)."""

from __future__ import annotations

from .table import Field

BRANCH = "UF_CRM_1700000001"
SERVICE = "UF_CRM_1700000002"
SERVICES = {"45": "Стрижка", "47": "Окрашивание", "49": "Маникюр", "51": "Косметология", "53": "Массаж"}

# Cells "CODE type Title"; +UTM and +ADDRESS stand for the shared cells.
_UTM = """
    UTM_SOURCE string Рекламная система | UTM_MEDIUM string Тип трафика |
    UTM_CAMPAIGN string Обозначение рекламной кампании | UTM_CONTENT string Содержание кампании |
    UTM_TERM string Условие поиска кампании
"""
_ADDRESS = """
    ADDRESS string Адрес | ADDRESS_2 string Адрес (стр. 2) | ADDRESS_CITY string Город |
    ADDRESS_POSTAL_CODE string Индекс | ADDRESS_REGION string Район | ADDRESS_PROVINCE string Область |
    ADDRESS_COUNTRY string Страна | ADDRESS_COUNTRY_CODE string Код страны |
    ADDRESS_LOC_ADDR_ID integer Идентификатор адреса
"""
_LEAD = """
    ID integer ID | TITLE string Название лида | HONORIFIC crm_status Обращение | NAME string Имя |
    SECOND_NAME string Отчество | LAST_NAME string Фамилия | COMPANY_TITLE string Название компании |
    COMPANY_ID crm_company Компания | CONTACT_ID crm_contact Контакт | IS_RETURN_CUSTOMER char Повторный лид |
    BIRTHDATE date Дата рождения | SOURCE_ID crm_status Источник |
    SOURCE_DESCRIPTION string Дополнительно об источнике | STATUS_ID crm_status Стадия |
    STATUS_DESCRIPTION string Дополнительно о стадии | POST string Должность | COMMENTS string Комментарий |
    CURRENCY_ID crm_currency Валюта | OPPORTUNITY double Сумма | IS_MANUAL_OPPORTUNITY char Ручной режим суммы |
    HAS_PHONE char Задан телефон | HAS_EMAIL char Задан e-mail | HAS_IMOL char Задана открытая линия |
    ASSIGNED_BY_ID user Ответственный | CREATED_BY_ID user Кем создан | MODIFY_BY_ID user Кем изменен |
    DATE_CREATE datetime Дата создания | DATE_MODIFY datetime Дата изменения | DATE_CLOSED datetime Дата завершения |
    STATUS_SEMANTIC_ID string Группа стадии | OPENED char Доступен для всех | ORIGINATOR_ID string Внешний источник |
    ORIGIN_ID string Идентификатор во внешнем источнике | MOVED_BY_ID user Кем перемещен |
    MOVED_TIME datetime Когда перемещен | +ADDRESS | +UTM | LAST_ACTIVITY_BY user Последняя активность |
    LAST_ACTIVITY_TIME datetime Время последней активности
"""
_DEAL = """
    ID integer ID | TITLE string Название | TYPE_ID crm_status Тип | STAGE_ID crm_status Стадия сделки |
    PROBABILITY integer Вероятность | CURRENCY_ID crm_currency Валюта | OPPORTUNITY double Сумма |
    IS_MANUAL_OPPORTUNITY char Ручной режим суммы | TAX_VALUE double Ставка налога | LEAD_ID crm_lead Лид |
    COMPANY_ID crm_company Компания | CONTACT_ID crm_contact Контакт | QUOTE_ID crm_quote Предложение |
    BEGINDATE date Дата начала | CLOSEDATE date Дата завершения | ASSIGNED_BY_ID user Ответственный |
    CREATED_BY_ID user Кем создана | MODIFY_BY_ID user Кем изменена | DATE_CREATE datetime Дата создания |
    DATE_MODIFY datetime Дата изменения | OPENED char Доступна для всех | CLOSED char Закрыта |
    COMMENTS string Комментарий | ADDITIONAL_INFO string Дополнительная информация |
    LOCATION_ID location Местоположение | CATEGORY_ID crm_category Воронка | STAGE_SEMANTIC_ID string Группа стадии |
    IS_NEW char Новая сделка | IS_RECURRING char Регулярная сделка | IS_RETURN_CUSTOMER char Повторная сделка |
    IS_REPEATED_APPROACH char Повторное обращение | SOURCE_ID crm_status Источник |
    SOURCE_DESCRIPTION string Дополнительно об источнике | ORIGINATOR_ID string Внешний источник |
    ORIGIN_ID string Идентификатор во внешнем источнике | MOVED_BY_ID user Кем перемещена |
    MOVED_TIME datetime Когда перемещена | LAST_ACTIVITY_TIME datetime Время последней активности | +UTM |
    LAST_ACTIVITY_BY user Последняя активность
"""
_CONTACT = """
    ID integer ID | POST string Должность | COMMENTS string Комментарий | HONORIFIC crm_status Обращение |
    NAME string Имя | SECOND_NAME string Отчество | LAST_NAME string Фамилия | PHOTO file Фотография |
    LEAD_ID crm_lead Лид | TYPE_ID crm_status Тип контакта | SOURCE_ID crm_status Источник |
    SOURCE_DESCRIPTION string Дополнительно об источнике | COMPANY_ID crm_company Компания |
    BIRTHDATE date Дата рождения | EXPORT char Участвует в экспорте | HAS_PHONE char Задан телефон |
    HAS_EMAIL char Задан e-mail | HAS_IMOL char Задана открытая линия | DATE_CREATE datetime Дата создания |
    DATE_MODIFY datetime Дата изменения | ASSIGNED_BY_ID user Ответственный | CREATED_BY_ID user Кем создан |
    MODIFY_BY_ID user Кем изменен | OPENED char Доступен для всех | ORIGINATOR_ID string Внешний источник |
    ORIGIN_ID string Идентификатор во внешнем источнике | ORIGIN_VERSION string Версия оригинала |
    FACE_ID integer Лицо | LAST_ACTIVITY_TIME datetime Время последней активности | +ADDRESS | +UTM |
    LAST_ACTIVITY_BY user Последняя активность
"""
_LEAD_HISTORY = """
    ID integer ID | TYPE_ID integer Тип | OWNER_ID integer Элемент | CREATED_TIME datetime Время |
    STATUS_SEMANTIC_ID string Группа | STATUS_ID crm_status Стадия
"""
_DEAL_HISTORY = """
    ID integer ID | TYPE_ID integer Тип | OWNER_ID integer Элемент | CREATED_TIME datetime Время |
    CATEGORY_ID integer Воронка | STAGE_SEMANTIC_ID string Группа | STAGE_ID crm_status Стадия
"""
_READ_ONLY = """
    ID STATUS_SEMANTIC_ID STAGE_SEMANTIC_ID HAS_PHONE HAS_EMAIL HAS_IMOL CREATED_BY_ID MODIFY_BY_ID MOVED_BY_ID
    DATE_CREATE DATE_MODIFY MOVED_TIME DATE_CLOSED LAST_ACTIVITY_TIME LAST_ACTIVITY_BY LEAD_ID QUOTE_ID IS_NEW
"""
_PHONES = {
    "PHONE": Field("crm_multifield", "Телефон"),
    "FM": Field("crm_multifield", "Контактные данные", is_universal_only=True),
}
_CUSTOM = {BRANCH: Field("string", "Филиал"), SERVICE: Field("enumeration", "Услуга", options=SERVICES)}


def _read(text: str) -> dict[str, Field]:
    fields = {}
    for cell in text.replace("+UTM", _UTM).replace("+ADDRESS", _ADDRESS).split("|"):
        code, kind, title = cell.split(maxsplit=2)
        fields[code] = Field(kind, title.strip(), code in _READ_ONLY.split())
    return fields


LEAD = _read(_LEAD) | _CUSTOM | _PHONES
DEAL = _read(_DEAL) | _CUSTOM
CONTACT = _read(_CONTACT) | _PHONES
LEAD_HISTORY = _read(_LEAD_HISTORY)
DEAL_HISTORY = _read(_DEAL_HISTORY)

_PEOPLE_AND_TIMES = {
    "DATE_CREATE": "createdTime",
    "DATE_MODIFY": "updatedTime",
    "CREATED_BY_ID": "createdBy",
    "MODIFY_BY_ID": "updatedBy",
    "MOVED_BY_ID": "movedBy",
}
LEAD_NAMES = _PEOPLE_AND_TIMES | {"STATUS_ID": "stageId", "STATUS_SEMANTIC_ID": "stageSemanticId"}
DEAL_NAMES = _PEOPLE_AND_TIMES
CONTACT_NAMES = _PEOPLE_AND_TIMES
