module.exports = {
  home: 'Good to see you',
  lead: 'Check in at a store and get what it offers today.',
  from: 'The store of your code',
  checkIn: 'I am here: check in',
  checkingIn: 'Checking in…',
  scanCode: "Scan the store's code",
  coupons: 'My coupons',
  join: 'Become a member',
  privacy: 'Privacy',
  arrived: 'You are checked in',
  nothingHere: 'No store was found here. If you are in one, scan the code that it shows.',
  notRecorded: 'You did not allow visits to be kept, so this check-in was not.',
  queued: 'There is no network. The check-in is kept on your phone and sent later.',
  noPlace: 'There is no position. Allow it in the settings, or scan the code in the store.',
  openSettings: 'Open the settings',
  won: 'You got a coupon',
  remind: 'Tell me of offers',
  couponsTitle: 'Coupons',
  noCoupons: 'No coupons yet. Check in at a store.',
  until: 'Good until',
  showCode: 'Show the code',
  more: 'More',
  states: {
    granted: 'Good',
    not_yet_valid: 'Not yet',
    redeemed: 'Used',
    expired: 'Expired',
    revoked: 'Taken back'
  },
  joinTitle: 'Become a member',
  joinLead: 'All we need is the phone number of your WeChat, to know you in every store.',
  joinWithPhone: 'Join with my number',
  joined: 'Welcome',
  alreadyMember: 'You are a member already',
  knownBy: 'Phone',
  noPhone: 'You did not give a number. You can join later.',
  consentTitle: 'Before we begin',
  consentLead: 'Each of these is yours to decide, now and later. You can look around without.',
  save: 'Save',
  purposes: {
    visit_history: {
      name: 'Keep my visits',
      why: 'When you check in we note which store you were at, to give you what it offers. The exact position is deleted after 7 days.'
    },
    marketing_push: {
      name: 'Tell me of offers',
      why: 'A WeChat message tells you what you got, once a day at most. Without this there are no offers.'
    }
  },
  offline: 'There is no network. Try again in a moment.',
  slowly: 'That was too often. Try again in a moment.',
  busy: 'We are busy. Try again in a moment.',
  failed: 'That did not work. Try once more.'
}
