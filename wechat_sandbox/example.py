"""What the stand-in begins with: a service account, a mini-program and two people."""

from shared.wechat.callback import Format
from wechat_sandbox.accounts import Account, Kind
from wechat_sandbox.world import World

SERVICE, MINI = "shop", "shop-mini"
COUPON_TEMPLATE = "sandbox_coupon_template_000000000000000000_"
SCENE = "store-1"
PEOPLE = {"mei": "+8613800000001", "ada": "+12025550101"}


def furnish(world: World, callback_base: str | None = None) -> tuple[Account, Account]:
    """Add them; with ``callback_base`` pushes go to ``<base>/v1/wechat/<account>/callback``."""
    callback = "{}/v1/wechat/{}/callback".format
    templates = {COUPON_TEMPLATE: ("thing1", "thing2", "time3")}
    accounts = (
        (SERVICE, Kind.SERVICE, "xml", ()),
        (MINI, Kind.MINI_PROGRAM, "json", ("pages/index/index", "pages/coupon/index")),
    )
    for account_id, kind, form, pages in accounts:
        url = None if callback_base is None else callback(callback_base.rstrip("/"), account_id)
        world.put_account(
            account_id,
            kind=kind,
            format=Format(form),
            callback_url=url,
            templates=templates,
            pages=pages,
        )
    for name, phone in PEOPLE.items():
        world.put_person(name, phone)
    world.scenes.create(SERVICE, SCENE, None)
    return world.accounts[SERVICE], world.accounts[MINI]
