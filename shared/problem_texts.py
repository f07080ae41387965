"""Texts of problems: plain words for faults of form, titles in Chinese, advice per category."""

from collections.abc import Mapping
from typing import Any

from shared import errors

TITLES_ZH: dict[str, str] = {
    "not-found": "未找到",
    "conflict": "当前状态不允许此操作",
    "forbidden": "此令牌没有权限",
    "unauthenticated": "需要有效的访问令牌",
    "gone": "已不存在",
    "precondition-failed": "内容已被他人修改",
    "too-large": "请求过大",
    "unsupported-media-type": "请求内容的类型不受支持",
    "too-many-requests": "请求过于频繁",
    "unavailable": "暂时无法提供服务",
    "malformed": "输入格式有误",
    "key_reused": "该幂等键属于另一请求",
    "method-not-allowed": "此地址不支持该方法",
    "internal": "服务器出错",
    "already-one-person": "已是同一个人",
    "beacon-taken": "该信标标识已被其他信标使用",
    "beacon-unknown": "未找到该信标",
    "busy": "系统繁忙",
    "cap-below-used": "上限低于已发放数量",
    "check-in-unknown": "未找到此人的该次签到",
    "code_expired": "二维码已过期",
    "code_revoked": "二维码已作废",
    "code_unknown": "无法识别的二维码",
    "consent-not-found": "未找到该授权",
    "coupon-unknown": "未找到该优惠券",
    "coupon-not-usable": "该优惠券不能使用",
    "dry-run-too-large": "轮廓附近的签到过多",
    "edition-changed": "二维码版次已变更",
    "erased": "已被删除",
    "explanation-gone": "说明已被删除",
    "geofence-closed": "该地理围栏已关闭",
    "geofence-of-another-store": "该地理围栏属于另一家门店",
    "geofence-unknown": "未找到该地理围栏",
    "geofence-version-unknown": "未找到该地理围栏版本",
    "invitation-erased": "邀请对应的用户已被删除",
    "invitation-expired": "邀请已过期",
    "invitation-for-another": "该邀请属于他人",
    "invitation-used": "邀请已被使用",
    "merge-not-found": "未找到该合并记录",
    "merge-refused": "不能合并这两个人",
    "not-ready": "服务尚未就绪",
    "nothing-to-withdraw": "没有可撤回的授权",
    "offer-ended": "活动已结束",
    "offer-not-active": "活动未生效",
    "offer-unknown": "未找到该活动",
    "person-not-found": "未找到该用户",
    "redemption-refused": "此券不能核销",
    "redemption-unknown": "未找到该核销记录",
    "store-closed": "该门店已关闭",
    "store-unknown": "未找到该门店",
    "unconfirmed": "尚不确定是否已记录",
    "visit-unknown": "未找到此人的该次到访",
    "version-changed": "内容已被他人修改",
    "wechat-account-unknown": "未找到该微信账号",
    "push-not-kept": "推送暂时无法保存",
    "wechat-app-taken": "该 AppID 已属于另一账号",
    "wechat-notice-unknown": "未找到该提醒",
    "wechat-away": "微信暂时没有响应",
    "wechat-account-not-in-order": "该微信账号设置有误",
    "wechat-not-of-this-account": "该微信账号不支持此操作",
    "wechat-scene-expired": "该场景的二维码已过期",
    "wechat-scene-unknown": "该账号没有此场景",
    "wechat-person-blocked": "微信限制了此人登录",
    "wechat-not-logged-in": "此人尚未登录该小程序",
    "wechat-other-app": "该账号属于另一 AppID",
}
"""By slug; a test holds it complete. One that is missing would fall back to its category."""

ADVICE: Mapping[type[errors.Refusal], str] = {
    errors.NotFound: "Check the id and the address; /docs lists all addresses.",
    errors.Conflict: "Read the detail: it names what stands in the way. Sending the same request"
    " again will not help before that has changed.",
    errors.Forbidden: "Use a token of a role that may do this.",
    errors.Unauthenticated: "Send a valid token in the header Authorization: Bearer <token>.",
    errors.Gone: "Nothing can bring it back; begin anew.",
    errors.PreconditionFailed: "Read it again, and send the change with the new ETag in If-Match.",
    errors.TooLarge: "Send less at once.",
    errors.UnsupportedMediaType: "Send one of the types that the detail names, and name it in the"
    " header Content-Type.",
    errors.TooManyRequests: "Wait for the seconds that the header Retry-After names.",
    errors.Unavailable: "Send the very same request again, with the same id or key, after the"
    " seconds that the header Retry-After names.",
    errors.Malformed: "Each entry of errors points at a field and says what is wrong with it:"
    " /name is in the body, ?name in the query, header:Name in the headers, path:name in the"
    " address.",
}


def fault_text(fault: Mapping[str, Any]) -> str:
    """A Pydantic error in plain words; the value that was sent is never repeated."""
    context = fault.get("ctx", {})
    template = _TEXTS.get(fault["type"])
    if template is None:
        return str(fault["msg"]).removeprefix("Value error, ")
    return template.format_map(_Context(context))


class _Context(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


_NUMBER = "must be a number"
_TEXTS: Mapping[str, str] = {
    "missing": "is needed",
    "extra_forbidden": "is not a known field: check its spelling or leave it out",
    "string_type": "must be text",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match the pattern {pattern}",
    "string_unicode": "holds a broken character (half of a surrogate pair)",
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "must be a finite number, not NaN or Infinity",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
    "uuid_type": "must be a UUID",
    "uuid_parsing": "must be a UUID, such as 0198f1c2-7a3b-7c44-9d55-66f7a8b9c0d1",
    "timezone_aware": "must name its offset, such as Z or +08:00",
    "list_type": "must be an array",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "too_long": "must have at most {max_length} items",
    "too_short": "must have at least {min_length} items",
    "union_tag_invalid": "{discriminator} must be one of {expected_tags}",
    "union_tag_not_found": "needs {discriminator} to say which kind it is",
    "json_invalid": "is not JSON: {error}",
}
