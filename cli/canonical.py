"""What ``./solomo dump`` prints: for each section, its rows as natural facts and server-made ones.

Each query gives ``whos`` (ranks of the identities concerned, lowest first, null where it is about
nobody or nobody known), ``facts`` (what any two runs of the same input agree on) and ``made``
(ids and times that the server chose). Rows are put in order by ``whos``, ``at`` and the text of
``facts``, none of which depends on the identity key or on the database's locale.
"""

from dataclasses import dataclass

RANKS = "CREATE TEMP TABLE dump_ranks (subject_id uuid PRIMARY KEY, rank bigint NOT NULL)"
"""Where the order of identities is put for the queries: no identity's value leaves the client."""

IN_ORDER = """
SELECT whos, facts::text, made::text FROM ({rows}) AS rows
ORDER BY whos NULLS FIRST, at NULLS FIRST, facts::text COLLATE "C", made::text COLLATE "C"
"""


@dataclass(frozen=True, slots=True)
class Section:
    """``of_several``: its rows are about all of their ``whos``, else about the first."""

    name: str
    rows: str
    of_several: bool = False

    @property
    def query(self) -> str:
        return IN_ORDER.replace("{rows}", self.rows)


STORES = """
SELECT NULL::bigint[] AS whos, NULL::timestamptz AS at,
    jsonb_build_object('store_id', store_id, 'name', name, 'brand', brand, 'address', address,
        'timezone', timezone, 'tags', tags, 'latitude', received_latitude,
        'longitude', received_longitude, 'datum', datum,
        'closed', closed_at IS NOT NULL) AS facts,
    jsonb_build_object('version', version, 'created_at', created_at,
        'updated_at', updated_at, 'closed_at', closed_at) AS made
FROM geo.stores
"""

STORES_TOLD = """
SELECT NULL::bigint[] AS whos, NULL::timestamptz AS at,
    jsonb_build_object('store_id', store_id, 'name', name, 'brand', brand, 'address', address,
        'timezone', timezone, 'tags', tags, 'closed', closed) AS facts,
    jsonb_build_object('revision', revision) AS made
FROM member.stores
"""

GEOFENCES = """
SELECT NULL::bigint[] AS whos, NULL::timestamptz AS at,
    jsonb_build_object('geofence_id', g.geofence_id, 'store_id', g.store_id,
        'outline', ST_AsGeoJSON(coalesce(v.center::geometry, v.area), 9)::jsonb,
        'radius_m', v.radius_m, 'closed', g.closed_at IS NOT NULL) AS facts,
    jsonb_build_object('version', g.version, 'created_at', g.created_at,
        'updated_at', g.updated_at, 'closed_at', g.closed_at) AS made
FROM geo.geofences g
JOIN geo.geofence_versions v ON v.geofence_id = g.geofence_id AND v.version = g.version
"""

OFFERS = """
SELECT NULL::bigint[] AS whos, NULL::timestamptz AS at,
    jsonb_build_object('offer_id', o.offer_id, 'version', o.version, 'state', o.state,
        'title', v.title, 'starts_at', v.starts_at, 'ends_at', v.ends_at, 'terms', v.terms,
        'granted', (SELECT used FROM geo.offer_counters c
                    WHERE c.offer_id = o.offer_id AND c.scope = 'total')) AS facts,
    jsonb_build_object('created_at', o.created_at, 'updated_at', o.updated_at) AS made
FROM geo.offers o
JOIN geo.offer_versions v ON v.offer_id = o.offer_id AND v.version = o.version
"""

PEOPLE = """
SELECT array_agg(rank ORDER BY rank) AS whos, NULL::timestamptz AS at,
    jsonb_build_object('lifecycle', CASE
            WHEN bool_or(EXISTS (SELECT FROM member.memberships m
                                 WHERE m.subject_id = s.subject_id)) THEN 'member'
            WHEN bool_or(EXISTS (SELECT FROM member.redemptions r
                                 WHERE r.subject_id = s.subject_id
                                   AND r.redeemed_at IS NOT NULL
                                   AND r.reversed_at IS NULL)) THEN 'customer'
            ELSE 'fan' END,
        'check_ins', sum(check_ins), 'coupons_granted', sum(coupons_granted)) AS facts,
    jsonb_build_object('person_id', person_id, 'first_seen_at', min(first_seen_at),
        'last_seen_at', max(last_seen_at)) AS made
FROM member.subjects s LEFT JOIN dump_ranks USING (subject_id)
GROUP BY person_id
"""

MEMBERSHIPS = """
SELECT ARRAY[rank] AS whos, NULL::timestamptz AS at,
    jsonb_build_object('store_id', store_id, 'campaign', campaign, 'kol', kol) AS facts,
    jsonb_build_object('subject_id', subject_id, 'joined_at', joined_at) AS made
FROM member.memberships LEFT JOIN dump_ranks USING (subject_id)
"""

CONSENTS = """
SELECT ARRAY[rank] AS whos, "at",
    jsonb_build_object('purpose', purpose, 'state', state, 'version', version, 'at', "at",
        'confirms_person', confirms_person, 'channel', channel, 'language', language,
        'withdraws', withdraws IS NOT NULL) AS facts,
    jsonb_build_object('subject_id', subject_id, 'consent_id', consent_id,
        'recorded_at', recorded_at) AS made
FROM member.consents LEFT JOIN dump_ranks USING (subject_id)
"""

CHECK_INS = """
SELECT ARRAY[rank] AS whos, occurred_at AS at,
    jsonb_build_object('id', check_in_id, 'kind', kind, 'occurred_at', occurred_at,
        'arrives', ARRAY(SELECT s FROM unnest(arrives) AS s ORDER BY s COLLATE "C"),
        'tentative', ARRAY(SELECT s FROM unnest(tentative) AS s ORDER BY s COLLATE "C"),
        'uncertain', ARRAY(SELECT s FROM unnest(uncertain) AS s ORDER BY s COLLATE "C"),
        'consent', jsonb_build_array(consent_purpose, consent_version, consent_given_at)
    ) AS facts,
    jsonb_build_object('subject_id', subject_id, 'received_at', received_at) AS made
FROM geo.check_ins LEFT JOIN dump_ranks USING (subject_id)
"""

VISITS = """
SELECT ARRAY[rank] AS whos, entered_at AS at,
    jsonb_build_object('store_id', store_id, 'entered_at', entered_at, 'dwelled', dwelled) || CASE
        WHEN state = 'open' OR provisional
        THEN jsonb_build_object('state', 'open', 'last_inside_at', last_inside_at)
        ELSE jsonb_build_object('state', state, 'left_at', left_at, 'closed_by', closed_by)
        END AS facts,
    jsonb_build_object('subject_id', subject_id, 'visit_id', visit_id, 'revision', revision,
        'provisional', provisional, 'last_received_at', last_received_at) AS made
FROM geo.visits LEFT JOIN dump_ranks USING (subject_id)
"""
"""An ``expired`` that only a device's silence decided reads as open: when the sweeper came by
depends on when the fixes were received."""

COUPONS = """
SELECT ARRAY[rank] AS whos, v.entered_at AS at,
    jsonb_build_object('offer_id', c.offer_id, 'offer_version', c.offer_version,
        'store_id', c.store_id, 'state', c.state, 'uses', c.uses,
        'visit_entered_at', v.entered_at, 'check_in_id', c.check_in_id) AS facts,
    jsonb_build_object('subject_id', c.subject_id, 'coupon_id', c.coupon_id,
        'visit_id', c.visit_id, 'granted_at', c.granted_at,
        'valid_until', c.valid_until) AS made
FROM geo.coupons c
LEFT JOIN dump_ranks r ON r.subject_id = c.subject_id
LEFT JOIN geo.visit_aliases a ON a.subject_id = c.subject_id AND a.alias_id = c.visit_id
LEFT JOIN geo.visits v ON v.subject_id = c.subject_id
    AND v.visit_id = coalesce(a.visit_id, c.visit_id)
"""

REDEMPTIONS = """
SELECT ARRAY[rank] AS whos, NULL::timestamptz AS at,
    jsonb_build_object('offer_id', offer_id, 'offer_version', offer_version,
        'store_id', store_id, 'staff_id', staff_id, 'use_number', use_number,
        'order_amount_minor', order_amount_minor, 'currency', currency, 'benefit', benefit,
        'reversed', reversed_at IS NOT NULL, 'reversal_reason', reversal_reason) AS facts,
    jsonb_build_object('subject_id', subject_id, 'redemption_id', redemption_id,
        'coupon_id', coupon_id, 'redeemed_at', redeemed_at, 'reversed_at', reversed_at) AS made
FROM geo.redemptions LEFT JOIN dump_ranks USING (subject_id)
"""

TIMELINE = """
SELECT ARRAY[rank] AS whos, happened.at,
    jsonb_build_object('type', type, 'occurred_at', happened.at, 'store_id', store_id,
        'data', (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(data)
                 WHERE key IN ('check_in_id', 'kind', 'store_ids', 'accuracy_m', 'datum',
                    'consent', 'entered_at', 'left_at', 'closed_by', 'offer_id',
                    'offer_version', 'title', 'campaign', 'purpose', 'state', 'version',
                    'staff_id', 'order_amount_minor', 'currency', 'benefit', 'reason',
                    'channel', 'account_id', 'scene', 'kol', 'event', 'key', 'template_id',
                    'status', 'cause', 'route'))
    ) AS facts,
    jsonb_build_object('subject_id', subject_id, 'event_id', event_id,
        'occurred_at', occurred_at, 'received_at', received_at) AS made
FROM member.timeline_items LEFT JOIN dump_ranks USING (subject_id),
LATERAL (SELECT CASE WHEN type = 'check_in' OR type LIKE 'visit\\_%'
                          OR (type LIKE 'social\\_%' AND type <> 'social_message_sent')
                     THEN occurred_at END AS at) AS happened
WHERE NOT (type = 'visit_expired' AND coalesce((data->>'provisional')::boolean, false))
"""
"""Only check-ins, visits and what people do in a channel happen at a time that the input tells."""

TOUCHES = """
SELECT ARRAY[rank] AS whos, at,
    jsonb_build_object('at', at, 'came', came, 'follows', follows, 'channel', channel,
        'account_id', account_id, 'store_id', store_id, 'scene', scene, 'campaign', campaign,
        'kol', kol) AS facts,
    jsonb_build_object('subject_id', subject_id, 'event_id', event_id) AS made
FROM member.social_touches LEFT JOIN dump_ranks USING (subject_id)
"""

MESSAGES = """
SELECT ARRAY[rank] AS whos, NULL::timestamptz AS at,
    jsonb_build_object('state', state) AS facts,
    jsonb_build_object('subject_id', subject_id, 'event_id', event_id) AS made
FROM member.social_messages LEFT JOIN dump_ranks USING (subject_id)
"""

REVOCATIONS = """
SELECT ARRAY[rank] AS whos, revoked_at AS at,
    jsonb_build_object('revoked_at', revoked_at) AS facts,
    jsonb_build_object('subject_id', subject_id) AS made
FROM member.whereabouts_revocations LEFT JOIN dump_ranks USING (subject_id)
"""

MERGES = """
SELECT ARRAY(SELECT r FROM (VALUES (a.rank), (b.rank)) AS ends (r) ORDER BY r) AS whos,
    holds_from AS at,
    jsonb_build_object('evidence', evidence, 'overrides', overrides, 'holds_from', holds_from,
        'undone', undone_at IS NOT NULL) AS facts,
    jsonb_build_object('subject_a', subject_a, 'subject_b', subject_b, 'actor', actor,
        'merged_at', merged_at, 'undone_at', undone_at, 'undone_by', undone_by) AS made
FROM member.merges m
LEFT JOIN dump_ranks a ON a.subject_id = m.subject_a
LEFT JOIN dump_ranks b ON b.subject_id = m.subject_b
"""

WECHAT_USERS = """
SELECT ARRAY[rank] AS whos, NULL::timestamptz AS at,
    jsonb_build_object('account_id', account_id, 'follows', follows,
        'follows_since', follows_since) AS facts,
    jsonb_build_object('subject_id', subject_id, 'created_at', created_at) AS made
FROM geo.wechat_users LEFT JOIN dump_ranks USING (subject_id)
"""

WECHAT_GRANTS = """
SELECT ARRAY[rank] AS whos, granted_at AS at,
    jsonb_build_object('account_id', account_id, 'template_id', template_id, 'state', state,
        'granted_at', granted_at) AS facts,
    jsonb_build_object('subject_id', subject_id, 'grant_id', grant_id,
        'closed_at', closed_at) AS made
FROM geo.wechat_grants LEFT JOIN dump_ranks USING (subject_id)
"""

ERASURES = """
SELECT NULL::bigint[] AS whos, NULL::timestamptz AS at,
    jsonb_build_object('service', 'geo_api', 'count', count(*)) AS facts,
    '{}'::jsonb AS made FROM geo.tombstones
UNION ALL
SELECT NULL, NULL, jsonb_build_object('service', 'member_api', 'count', count(*)), '{}'
FROM member.tombstones
"""

SECTIONS = (
    Section("stores", STORES),
    Section("stores_told", STORES_TOLD),
    Section("geofences", GEOFENCES),
    Section("offers", OFFERS),
    Section("people", PEOPLE, of_several=True),
    Section("memberships", MEMBERSHIPS),
    Section("consents", CONSENTS),
    Section("check_ins", CHECK_INS),
    Section("visits", VISITS),
    Section("coupons", COUPONS),
    Section("redemptions", REDEMPTIONS),
    Section("timeline", TIMELINE),
    Section("merges", MERGES, of_several=True),
    Section("social_touches", TOUCHES),
    Section("social_messages", MESSAGES),
    Section("whereabouts_revocations", REVOCATIONS),
    Section("wechat_users", WECHAT_USERS),
    Section("wechat_grants", WECHAT_GRANTS),
    Section("erasures", ERASURES),
)
