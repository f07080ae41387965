// Check-ins and scans that could not be sent: kept on the phone, sent in their order, each under
// the id that it was made with, so that nothing counts twice. What the service refuses is dropped.
const api = require('./api')

const KEY = 'queue'
const MOST = 50
const MAX_AGE_MS = 72 * 60 * 60 * 1000 // the service takes no older fix of a member

let flushing = null

function load() {
  const now = Date.now()
  return (wx.getStorageSync(KEY) || []).filter((entry) => now - entry.at < MAX_AGE_MS)
}

function save(entries) {
  wx.setStorageSync(KEY, entries.slice(-MOST))
}

async function sendAll() {
  for (let entries = load(); entries.length > 0; entries = load()) {
    const [first] = entries
    try {
      await api[first.call](first.body)
    } catch (refused) {
      if (refused.mayPass) return
    }
    save(load().filter((entry) => entry.body.id !== first.body.id))
  }
}

function flush() {
  if (!flushing) {
    const done = () => {
      flushing = null
    }
    flushing = sendAll()
    flushing.then(done, done)
  }
  return flushing
}

// Send it now; what does not get through is kept, and answered with null.
async function send(call, body) {
  try {
    return await api[call](body)
  } catch (refused) {
    if (!refused.mayPass) throw refused
    save(load().concat([{ call, body, at: Date.now() }]))
    return null
  }
}

function forget() {
  wx.removeStorageSync(KEY)
}

module.exports = { send, flush, forget, waiting: () => load().length }
