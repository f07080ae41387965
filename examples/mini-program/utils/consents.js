// What the person allowed, purpose by purpose. Nothing is asked of the phone before.
const api = require('./api')
const config = require('../config')
const { uuid } = require('./ids')
const { language } = require('./i18n')

const KEY = 'consents'
const PURPOSES = ['visit_history', 'marketing_push']

function load() {
  const kept = wx.getStorageSync(KEY)
  const current = kept && kept.version === config.consentVersion
  return current ? kept : { version: config.consentVersion, given: {} }
}

function keep(purpose, answer) {
  const kept = load()
  kept.given[purpose] = answer
  wx.setStorageSync(KEY, kept)
}

// The same answer again is the same request, under the same key, until it got through.
function next(before, granted) {
  if (before && before.granted === granted) return before
  const refusal = before && before.state === 'granted' ? 'withdrawn' : 'denied'
  const state = granted ? 'granted' : refusal
  return { granted, state, key: uuid(), at: new Date().toISOString(), sent: false }
}

async function say(purpose, granted) {
  const answer = next(load().given[purpose], granted)
  if (answer.sent) return
  keep(purpose, answer)
  const written = await api.giveConsent(
    {
      purpose,
      state: answer.state,
      version: config.consentVersion,
      given_at: answer.at,
      language: language(),
      channel: 'wechat_mini_program'
    },
    answer.key
  )
  keep(purpose, Object.assign({}, answer, { sent: true, receipt: written.receipt || undefined }))
}

// Whether every question has an answer that was written down.
function answered() {
  const { given } = load()
  return PURPOSES.every((purpose) => given[purpose] && given[purpose].sent)
}

module.exports = {
  PURPOSES,
  say,
  answered,

  // Whether the questions were answered; if not, they are shown.
  first() {
    if (answered()) return true
    wx.navigateTo({ url: '/pages/consent/index' })
    return false
  },

  granted(purpose) {
    const answer = load().given[purpose]
    return Boolean(answer && answer.granted)
  },

  // A check-in carries it, so that allowing counts at once.
  receipt() {
    const answer = load().given.visit_history
    return answer && answer.granted ? answer.receipt : undefined
  }
}
