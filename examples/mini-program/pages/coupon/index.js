const api = require('../../utils/api')
const consents = require('../../utils/consents')
const { explain } = require('../../utils/messages')
const { texts } = require('../../utils/i18n')

const USABLE = ['granted', 'not_yet_valid']

function shown(coupon, t) {
  return Object.assign({}, coupon, {
    until: new Date(coupon.valid_until).toLocaleString(),
    label: t.states[coupon.state] || coupon.state,
    usable: USABLE.includes(coupon.state)
  })
}

Page({
  data: { t: {}, coupons: [], cursor: null, notice: '', loaded: false, open: null, picture: '' },

  onShow() {
    this.setData({ t: texts(), coupons: [], cursor: null, open: null })
    return consents.answered() ? this.load() : this.setData({ loaded: true })
  },

  async load() {
    try {
      const page = await api.listCoupons(this.data.cursor)
      const more = page.items.map((coupon) => shown(coupon, texts()))
      this.setData({
        coupons: this.data.coupons.concat(more),
        cursor: page.next_cursor,
        loaded: true,
        notice: ''
      })
    } catch (refused) {
      this.setData({ notice: explain(refused) })
    }
  },

  // The picture needs the person's token, which an <image> cannot send, and stays in memory.
  async show(event) {
    const coupon = this.data.coupons[event.currentTarget.dataset.at]
    try {
      const bytes = await api.couponQr(coupon.id)
      const picture = `data:image/png;base64,${wx.arrayBufferToBase64(bytes)}`
      this.setData({ open: coupon, picture })
      this.brighten()
    } catch (refused) {
      this.setData({ notice: explain(refused) })
    }
  },

  // Tills read a bright screen better; afterwards it is as before.
  brighten() {
    wx.getScreenBrightness({
      success: ({ value }) => {
        this.brightness = value
        wx.setScreenBrightness({ value: 1 })
      }
    })
  },

  close() {
    this.setData({ open: null, picture: '' })
    if (this.brightness !== undefined) wx.setScreenBrightness({ value: this.brightness })
    this.brightness = undefined
  },

  onHide() {
    this.close()
  }
})
