// Chinese for phones set to it, else English.
const texts = { 'zh-CN': require('../locale/zh-CN'), en: require('../locale/en') }

function language() {
  const info = wx.getAppBaseInfo ? wx.getAppBaseInfo() : wx.getSystemInfoSync()
  return /^zh/i.test(info.language || 'zh') ? 'zh-CN' : 'en'
}

module.exports = { language, texts: () => texts[language()] }
