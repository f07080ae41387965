module.exports = {
  "login": {
    "service": "geo",
    "method": "POST",
    "path": "/v1/sessions",
    "sends": ["wechat.account_id", "wechat.code"],
    "reads": ["token", "expires_at"]
  },
  "sharePhone": {
    "service": "geo",
    "method": "POST",
    "path": "/v1/wechat/{account_id}/phone",
    "member": true,
    "sends": ["code"],
    "reads": ["phone"]
  },
  "tellScan": {
    "service": "geo",
    "method": "POST",
    "path": "/v1/wechat/{account_id}/scans",
    "member": true,
    "sends": ["id", "scene"],
    "reads": [
      "store.store_id", "store.name", "store.address", "campaign",
      "invitation.token", "invitation.expires_at"
    ]
  },
  "checkIn": {
    "service": "geo",
    "method": "POST",
    "path": "/v1/check-ins",
    "member": true,
    "sends": [
      "id", "kind", "latitude", "longitude", "datum", "accuracy_m", "location_grade",
      "evidence.code", "occurred_at", "signals.speed_mps", "signals.source", "consent_receipt"
    ],
    "reads": [
      "check_in.status", "check_in.reason",
      "visits[].store_id", "visits[].state",
      "coupons[].id", "coupons[].title", "coupons[].valid_until",
      "invitation.token", "invitation.expires_at"
    ]
  },
  "listCoupons": {
    "service": "geo",
    "method": "GET",
    "path": "/v1/coupons",
    "member": true,
    "query": ["limit", "cursor"],
    "reads": [
      "items[].id", "items[].title", "items[].state", "items[].code",
      "items[].valid_from", "items[].valid_until", "next_cursor"
    ]
  },
  "couponQr": {
    "service": "geo",
    "method": "GET",
    "path": "/v1/coupons/{coupon_id}/qr",
    "member": true,
    "picture": "image/png"
  },
  "giveConsent": {
    "service": "member",
    "method": "POST",
    "path": "/v1/consents",
    "member": true,
    "once": true,
    "sends": ["purpose", "state", "version", "given_at", "language", "channel"],
    "reads": ["state", "receipt"]
  },
  "signUp": {
    "service": "member",
    "method": "POST",
    "path": "/v1/sign-ups",
    "member": true,
    "once": true,
    "sends": ["invitation"],
    "reads": ["person_id", "member_since", "already_member"]
  }
};
