// UUIDs, version 7: made here, so that a request that is sent again is the same request.
function hex(value, digits) {
  return Math.floor(value).toString(16).padStart(digits, '0').slice(-digits)
}

function uuid() {
  const time = hex(Date.now(), 12)
  const random = () => hex(Math.random() * 0x10000, 4)
  const version = `7${hex(Math.random() * 0x1000, 3)}`
  const variant = hex(0x8000 + Math.random() * 0x4000, 4)
  const rest = random() + random() + random()
  return `${time.slice(0, 8)}-${time.slice(8)}-${version}-${variant}-${rest}`
}

module.exports = { uuid }
