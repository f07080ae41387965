// Where the phone is, in the form of a check-in. WeChat converts to WGS 84 when asked for it;
// its developer tools always give GCJ-02, so they say so.
const config = require('../config')

const COARSE_M = 1000
const FUZZY_M = 5000

function isTools() {
  return wx.getDeviceInfo && wx.getDeviceInfo().platform === 'devtools'
}

function ask(method, options) {
  return new Promise((success, fail) => {
    wx[method](Object.assign({ type: 'wgs84' }, options, { success, fail }))
  })
}

async function precise() {
  const fix = await ask('getLocation', { isHighAccuracy: true, highAccuracyExpireTime: 4000 })
  const accuracy = fix.horizontalAccuracy || fix.accuracy
  const body = position(fix, accuracy, accuracy > COARSE_M ? 'fuzzy' : 'precise')
  if (fix.speed >= 0) body.signals.speed_mps = fix.speed
  return body
}

// WeChat blurs it and says not by how much: it finds stores near by and opens no visit.
async function fuzzy() {
  return position(await ask('getFuzzyLocation', {}), FUZZY_M, 'fuzzy')
}

function position(fix, accuracy, grade) {
  return {
    latitude: Number(fix.latitude),
    longitude: Number(fix.longitude),
    datum: isTools() ? 'gcj02' : 'wgs84',
    accuracy_m: accuracy,
    location_grade: grade,
    signals: { source: grade === 'precise' ? 'wx.getLocation' : 'wx.getFuzzyLocation' }
  }
}

// WeChat's own privacy prompt comes first, where the phone knows it.
function allowed() {
  if (!wx.requirePrivacyAuthorize) return Promise.resolve()
  return new Promise((success, fail) => wx.requirePrivacyAuthorize({ success, fail }))
}

// Rejects where the person refused, or the phone has no position.
async function here() {
  await allowed()
  return config.location === 'fuzzy' ? fuzzy() : precise()
}

module.exports = { here }
