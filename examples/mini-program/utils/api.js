// Every call to the two services. What is sent and read stands in shapes.js and nowhere else: a
// field that is not named there is not sent, and not handed to a page.
const config = require('../config')
const shapes = require('./shapes')
const session = require('./session')
const { uuid } = require('./ids')

const TIMEOUT_MS = 10000
const UNAUTHENTICATED = 401

// What a call ends with when it does not succeed. `status` 0: no answer came. `problem` is the
// document of RFC 9457, whose `title` is in the person's language.
class Refused extends Error {
  constructor(status, problem, retryAfterS) {
    super((problem && problem.title) || `status ${status}`)
    this.status = status
    this.problem = problem || {}
    this.retryAfterS = retryAfterS
  }

  // Whether the same request, with the same id or key, may go well later.
  get mayPass() {
    return this.status === 0 || this.status === 429 || this.status >= 500
  }
}

function parse(path) {
  return path.split('.')
}

// The part of `value` that `paths` name; `[]` stands behind the name of a list.
function pick(value, paths) {
  if (value === null || value === undefined) return value
  const picked = {}
  const deeper = {}
  paths.map(parse).forEach(([first, ...rest]) => {
    if (rest.length === 0) picked[first] = value[first]
    else (deeper[first] = deeper[first] || []).push(rest.join('.'))
  })
  Object.keys(deeper).forEach((first) => {
    const name = first.replace('[]', '')
    const inner = value[name]
    if (inner === undefined) return
    picked[name] = first.endsWith('[]')
      ? inner.map((item) => pick(item, deeper[first]))
      : pick(inner, deeper[first])
  })
  return picked
}

// `body` without what shapes.js does not name, and without what is undefined.
function outgoing(shape, body) {
  return shape.sends && JSON.parse(JSON.stringify(pick(body, shape.sends)))
}

function address(shape, params, query) {
  const path = shape.path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(params[name]))
  const asked = (shape.query || [])
    .filter((name) => query && query[name] !== undefined && query[name] !== null)
    .map((name) => `${name}=${encodeURIComponent(query[name])}`)
  const base = shape.service === 'geo' ? config.geoUrl : config.memberUrl
  return base + path + (asked.length ? `?${asked.join('&')}` : '')
}

function request(options) {
  return new Promise((resolve, reject) => {
    wx.request(
      Object.assign({ timeout: TIMEOUT_MS }, options, {
        success: resolve,
        fail: (failure) => reject(new Refused(0, { detail: failure.errMsg }))
      })
    )
  })
}

function headersOf(shape, given, token) {
  const headers = { 'Accept-Language': given.language || 'zh-CN' }
  if (shape.sends) headers['Content-Type'] = 'application/json'
  if (shape.picture) headers.Accept = shape.picture
  if (shape.once) headers['Idempotency-Key'] = given.key
  if (token) headers.Authorization = `Bearer ${token}`
  return headers
}

function read(shape, response) {
  if (response.statusCode >= 200 && response.statusCode < 300) {
    return shape.picture ? response.data : pick(response.data, shape.reads)
  }
  const header = response.header || {}
  const wait = Number(header['Retry-After'] || header['retry-after'] || 0)
  throw new Refused(response.statusCode, shape.picture ? null : response.data, wait)
}

async function attempt(shape, given) {
  const token = shape.member ? await session.token() : null
  const response = await request({
    url: address(shape, given.params || {}, given.query),
    method: shape.method,
    header: headersOf(shape, given, token),
    data: outgoing(shape, given.body || {}),
    responseType: shape.picture ? 'arraybuffer' : 'text'
  })
  if (response.statusCode === UNAUTHENTICATED && shape.member && !given.renewed) {
    session.drop(token)
    return attempt(shape, Object.assign({}, given, { renewed: true }))
  }
  return read(shape, response)
}

// `given`: params, query, body, key (kept for retries, where the shape says once), language.
// Rejects with Refused.
function call(name, given = {}) {
  const shape = shapes[name]
  const key = shape.once ? given.key || uuid() : undefined
  return attempt(shape, Object.assign({}, given, { key }))
}

const account = () => ({ account_id: config.accountId })

session.logInBy((code) =>
  call('login', { body: { wechat: { account_id: config.accountId, code } } })
)

module.exports = {
  Refused,
  sharePhone: (code) => call('sharePhone', { params: account(), body: { code } }),
  tellScan: (scan) => call('tellScan', { params: account(), body: scan }),
  checkIn: (body, language) => call('checkIn', { body, language }),
  listCoupons: (cursor) => call('listCoupons', { query: { limit: 20, cursor } }),
  couponQr: (couponId) => call('couponQr', { params: { coupon_id: couponId } }),
  giveConsent: (body, key) => call('giveConsent', { body, key }),
  signUp: (body, key, language) => call('signUp', { body, key, language })
}
