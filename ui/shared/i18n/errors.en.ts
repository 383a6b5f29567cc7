// Section 6 of the interface design: what happened, then what to do.
// Parameters are words already; a sentence whose parameter is missing is left out.
type P = Partial<Record<string, string>>;
const join = (...s: (string | false | undefined)[]) => s.filter(Boolean).join(' ');
const tries = (n?: string) => n && (n === '1' ? 'You have 1 try left.' : `You have ${n} tries left.`);

export default {
  'auth.wrong': (p: P) => join('The phone number or PIN is not right. Check both and try again.', tries(p.left)),
  'auth.locked': (p: P) =>
    join('We have locked your account because the PIN was wrong 5 times.', p.until ? `Try again at ${p.until}, or reset your PIN now.` : 'Try again later, or reset your PIN now.'),
  'auth.notActive': 'You need to turn on your account first. Open our email and select ‘Activate account’. We can send it again.',
  'auth.linkOld': 'This link is too old to use. Select ‘Send a new link’. The new one lasts 24 hours.',
  'auth.newDevice': 'We do not know this phone or computer yet. Type the 6-digit code that we sent you.',
  'auth.codeWrong': 'That code is not right. Check it and try again, or select ‘Send a new code’.',
  'auth.signedOut': 'You are signed out. Sign in again to go on.',
  'auth.tooMany': 'You have tried too often. Wait 5 minutes, then try again.',
  'terms.notAll': 'Tick every box to show that you agree. You can read each rule again below.',
  'id.unreadable': 'We cannot read your ID. Take the photo again in good light. All 4 corners must show.',
  'id.pending': 'We are still checking your ID. This can take up to 24 hours. We will email you when it is done.',
  'id.needed': 'We need a photo of your ID first. Send it, then come back here.',
  'file.tooBig': 'This file is too big. Choose a photo under 10 MB, or take a new one.',
  'file.type': 'We cannot use this kind of file. Choose a JPG or PNG photo.',
  'contact.cannotAdd': 'You cannot add this person yet. Check the name and number. If they are right, ask them to add you to their list.',
  'contact.exists': 'This person is on your list. Go to People to see them.',
  'visit.suggestOnly': (p: P) =>
    join(`This is your first visit with ${p.name || 'this person'}.`, 'You can suggest a time.', `${p.name || 'They'} must say yes before it is booked.`),
  'visit.noQuota': 'There are no visits left for this month. Choose a day in the next month.',
  'visit.cancelled': 'This visit was cancelled.',
  'visit.changed': 'This visit has changed. Look at it again before you go on.',
  'visit.gone': 'You can no longer change this visit. Go to Visits to see what it is now.',
  'party.tooMany': (p: P) => `Only ${p.max || '4'} people can be on this visit. Take 1 person off to go on.`,
  'party.mainAge': 'The main caller must be 18 or over. Choose an adult as the main caller.',
  'slot.none': 'There are no free times on this day. Choose another day.',
  'slot.taken': 'Someone else has just booked this time. Choose another time.',
  'slot.holdOver': 'We held this time for 10 minutes. That has passed. Choose a time again.',
  'booking.refused': 'You cannot book this visit now. Choose another time, or call us.',
  'cancel.late': 'Your visit starts in less than 24 hours. If you cancel now, you will not get your money back.',
  'cam.blocked':
    'Your browser is blocking the camera. Select the camera sign next to the web address. Choose ‘Allow’. Then select ‘Try again’.',
  'cam.none': 'We cannot find a camera. Plug one in, or close other apps that use it. Then select ‘Try again’.',
  'device.mobileOnly': 'Visits here need a phone or tablet. Open this page on one of them to join.',
  'call.early': (p: P) => join(p.time ? `Your visit opens at ${p.time}.` : 'Your visit is not open yet.', 'Stay on this page and we will let you in.'),
  'call.absent': (p: P) =>
    join(
      `${p.name || 'The other person'} is not here yet. Stay on this page.`,
      p.time && `If ${p.name || 'they'} does not join by ${p.time}, we will end the visit and tell you what to do next.`,
    ),
  'call.elsewhere': 'You have opened this visit on another device. Go on there, or select ‘Use this device’.',
  'call.cannotRecord': 'This visit cannot start because we cannot record it. Staff know about it. Stay on this page.',
  'call.lost': 'Your connection dropped. We are trying to get you back in. Stay close to your Wi-Fi.',
  'call.paused': 'Staff have paused this call. Only people on the booking can be on camera. Face the camera and stay on this page.',
  'call.pausedAuto': 'This call is paused. Staff will check it before it can start again. Stay on this page.',
  'call.pausedScreen':
    'This call is paused because someone may be recording the screen. Stop recording. Staff will check before it starts again.',
  'call.ended': 'This visit has ended. Visit times are fixed, so we cannot add more time.',
  'call.endedByStaff': 'Staff ended this call. Call us if you have questions.',
  'call.private': 'This call is private. It is not recorded and staff cannot watch it.',
  'wait.ready': 'Staff are getting the call ready. Stay on this page.',
  'wait.start': (p: P) => join('You are both here.', p.time ? `The visit starts at ${p.time}.` : 'The visit starts soon.'),
  'wait.onWay': (p: P) => `${p.name || 'The other person'} has been told and is on the way.`,
  'wait.notTold': (p: P) => `${p.name || 'The other person'} may not know yet. We have told staff.`,
  'wait.deviceFault': 'A screen at the facility has a fault. We are moving the visit to another one.',
  'wait.late': 'The facility is late. You will not be charged for waiting.',
  'wait.away': (p: P) =>
    join(
      `${p.name || 'The other person'} is not here right now.`,
      p.time && `If ${p.name || 'they'} does not join by ${p.time}, we will end the visit and tell you what to do next.`,
    ),
  'net.offline': 'You are offline. You can still read this page. Check your Wi-Fi, then try again.',
  fault: (p: P) =>
    join(
      'Something went wrong at our end. Try again in 5 minutes.',
      p.code && `If it still fails, call us and say code ${p.code}.`,
    ),
  'kiosk.signin': 'That number or PIN is not right. Check both and try again. Ask staff if you need help.',
  'kiosk.locked': (p: P) => join('That number is locked.', p.until ? `Try again at ${p.until}.` : 'Try again later.', 'Ask staff if you need help.'),
  'kiosk.linkLost': 'This screen has lost its link. Your visit time is safe. Tell staff if it lasts.',
  'staff.claimed': (p: P) => `${p.name || 'Someone'} has already decided this item. We have moved you to the next one.`,
  'staff.seal': (p: P) =>
    join('This recording does not match its seal. Do not use it as evidence.', p.code ? `Tell your security lead and give code ${p.code}.` : 'Tell your security lead.'),
  'staff.stepUp': 'Show that it is you. Use your passkey, or the code from your app.',
  'staff.second': 'A second person must approve this. We have sent it to the approval list.',
  'staff.recorder': (p: P) =>
    join('The recorder is not ready, so this call cannot start.', 'Check the recorder card in Health.', p.code && `Give code ${p.code}.`),
  'setup.ipUsed': 'Another device has this address. Choose a new one, or select ‘Automatic’.',
  'setup.claimUsed': 'This claim code has been used. Make a new one on the screen of the appliance.',

  'page.old': 'This page is out of date. Load it again, then go on.',
  notFound: 'We cannot find this. It may be gone. Go back and choose again.',
  form: 'Some answers need another look. Check them below.',
  'field.required': 'Fill this in.',
  'field.invalid': 'Check this and type it again.',
  'field.phone': 'Type a phone number, like 07700 900123.',
  'field.email': 'Type your email address in full. It has an @ in it.',
  'field.pin': 'Type a PIN of 6 numbers. Do not use your date of birth or 123456.',
  'field.pinOwn': 'Type your PIN. It has 6 numbers.',
  'field.pinSame': 'The 2 PINs are not the same. Type the PIN again.',
  'field.code': 'Type the 6 numbers of the code.',
  'field.date': 'Type a real date, like 27 3 1990.',
  'field.adult': 'You must be 18 or over to have an account.',
  'field.choose': 'Choose 1 of the list.',
  'field.used': 'This is in use by an account. Sign in, or use another one.',
  'field.name': 'Type the name as it is on the ID.',
  'field.number': 'Type the number of the person you want to visit.',
  'field.photo': 'Add this photo.',
  'field.tooLong': 'Make this shorter.',
};
