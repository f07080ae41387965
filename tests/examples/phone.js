// A phone with WeChat on it, as far as the sample needs one. It takes orders as lines of JSON and
// asks whoever ordered for all that comes from outside: answers of services, codes, positions.
'use strict'
const path = require('path')
const readline = require('readline')

const root = process.argv[2]
const storage = new Map()
const answers = new Map()
const pages = []
let asked = 0
let app = null
let registered = null
const listeners = []

function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

function ask(what, about) {
  asked += 1
  say(Object.assign({ n: asked, ask: what }, about))
  return new Promise((resolve) => answers.set(asked, resolve))
}

async function answered(options, what, about) {
  const { ok, value } = await ask(what, about)
  if (ok) options.success(value)
  else (options.fail || (() => {}))(value)
}

function request(options) {
  const { url, method, header, data } = options
  const body = data === undefined ? null : JSON.stringify(data)
  const settled = {
    success: (value) => {
      const bytes = Buffer.from(value.content, 'base64')
      const binary = options.responseType === 'arraybuffer'
      const read = binary ? bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) : null
      const text = bytes.toString()
      const json = () => (text ? JSON.parse(text) : '')
      options.success({
        statusCode: value.status, header: value.header, data: binary ? read : json()
      })
    },
    fail: options.fail
  }
  answered(settled, 'request', { url, method, header, body })
}

global.wx = {
  request,
  login: (options) => answered(options, 'login', {}),
  getLocation: (options) => answered(options, 'position', { type: options.type, how: 'precise' }),
  getFuzzyLocation: (options) => answered(options, 'position', { type: options.type, how: 'fuzzy' }),
  scanCode: (options) => answered(options, 'scan', {}),
  requirePrivacyAuthorize: (options) => options.success({}),
  requestSubscribeMessage: (options) => answered({ success: options.complete }, 'subscribe', options),
  getStorageSync: (key) => (storage.has(key) ? JSON.parse(storage.get(key)) : ''),
  setStorageSync: (key, value) => storage.set(key, JSON.stringify(value)),
  removeStorageSync: (key) => storage.delete(key),
  onNetworkStatusChange: (listener) => listeners.push(listener),
  getAppBaseInfo: () => ({ language: 'en' }),
  getDeviceInfo: () => ({ platform: 'ios' }),
  arrayBufferToBase64: (buffer) => Buffer.from(buffer).toString('base64'),
  getScreenBrightness: (options) => options.success({ value: 0.4 }),
  setScreenBrightness: ({ value }) => say({ brightness: value }),
  openSetting: () => {},
  navigateTo: ({ url }) => say({ went: url }),
  navigateBack: () => say({ went: 'back' }),
  reLaunch: ({ url }) => say({ went: url })
}
global.App = (definition) => {
  app = definition
}
global.Page = (definition) => {
  registered = definition
}
global.getCurrentPages = () => pages

function setData(changes) {
  Object.keys(changes).forEach((name) => {
    const [, list, at, field] = /^(\w+)\[(\d+)\]\.(\w+)$/.exec(name) || []
    if (list) this.data[list][at][field] = changes[name]
    else this.data[name] = changes[name]
  })
}

const orders = {
  config: ({ values }) => Object.assign(require(path.join(root, 'config')), values),
  launch: ({ query }) => {
    require(path.join(root, 'app'))
    app.onLaunch({ query })
    app.onShow({ query })
  },
  online: () => listeners.forEach((listener) => listener({ isConnected: true })),
  flush: () => require(path.join(root, 'utils/queue')).flush(),
  waiting: () => require(path.join(root, 'utils/queue')).waiting(),
  async open({ page }) {
    const file = require.resolve(path.join(root, 'pages', page, 'index'))
    delete require.cache[file]
    require(file)
    const made = Object.assign({ setData, route: page }, registered)
    made.data = JSON.parse(JSON.stringify(registered.data))
    pages.push(made)
    if (made.onLoad) await made.onLoad({})
    if (made.onShow) await made.onShow()
    return made.data
  },
  async tap({ handler, event }) {
    const page = pages[pages.length - 1]
    await page[handler](event)
    return page.data
  },
  data: () => pages[pages.length - 1].data
}

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const order = JSON.parse(line)
  if (order.n !== undefined) {
    const settle = answers.get(order.n)
    answers.delete(order.n)
    settle(order)
    return
  }
  try {
    const value = await orders[order.do](order)
    say({ done: value === undefined ? null : value })
  } catch (error) {
    say({ failed: String(error && error.stack) })
  }
})
