// What the parts of Health say. Level: reading age 12; the installer's words for the parts of a machine stand as they are.
import { plural } from '../../shared/i18n/index.svelte.ts';

const waiting = (n: number) => (n === 0 ? '' : plural('en', n, { one: ' 1 change is waiting.', other: ` ${n} changes are waiting.` }));

export default {
  from: { stick: 'the stick SALLYPORT', firmware: 'the firmware' },
  database: { ok: (p: { ms: string }) => `It answers in ${p.ms} ms.`, silent: 'It does not answer.' },
  setup: { done: (p: { name: string }) => `This box is for ${p.name}.`, missing: 'Your facility is not set up yet.' },
  administrator: { there: 'There is one.', none: 'Nobody has claimed this box yet. The code is on its screen.' },
  gateway: {
    spoke: (p: { n: number }) => plural('en', p.n, { one: 'It spoke 1 second ago.', other: `It spoke ${p.n} seconds ago.` }),
    quiet: (p: { since: string }) => `It has been silent since ${p.since}.`,
    never: 'It has not spoken since booking started.',
  },
  sync: {
    alone: 'This box works on its own. No centre is set up.',
    'wait-link': (p: { n: number }) => `It waits for booking.${waiting(p.n)}`,
    connecting: (p: { n: number }) => `It is connecting to the centre.${waiting(p.n)}`,
    handshake: (p: { n: number }) => `It is making sure that this is the centre.${waiting(p.n)}`,
    resync: (p: { n: number }) => `It is comparing all records with the centre.${waiting(p.n)}`,
    live: (p: { n: number }) => `Linked to the centre.${waiting(p.n)}`,
    paused: (p: { n: number }) => `Sending to the centre is paused.${waiting(p.n)}`,
    recovery: (p: { n: number }) => `This box runs from an older copy. The centre must let it back in.${waiting(p.n)}`,
    withdrawn: (p: { n: number }) => `The centre has withdrawn access for this site.${waiting(p.n)}`,
    incompatible: (p: { n: number }) => `The centre and this box have versions that do not fit.${waiting(p.n)}`,
    away: (p: { n: number }) => `The part that speaks with the centre is silent.${waiting(p.n)}`,
  },
  disk: {
    free: (p: { percent: string }) => `${p.percent}% is free.`,
    unmeasured: 'It cannot be measured.',
    full: 'The disk is full. Recordings and updates that are not needed have to go. Then start the box again.',
    missing: (p: { name: string }) => `There is no partition ${p.name} on any disk of this box.`,
    twice: (p: { name: string; disks: string }) => `Two disks have a partition ${p.name}: ${p.disks}. Take out the one that does not belong to this box, and start it again.`,
    apart: (p: { data: string; system: string }) => `The data is on the disk ${p.data} and the system on ${p.system}. Both belong on one disk.`,
  },
  boot: { done: (p: { n: number; of: number }) => `${p.n} of ${p.of} parts are done.`, unread: 'Its results cannot be read.' },
  phase: { blocked: (p: { needs: string }) => `It waits for this part, which went wrong: ${p.needs}.`, failed: 'It went wrong. The screen of the box says, in English:' },
  secrets: { damaged: (p: { name: string }) => `The secret ${p.name} is damaged. Restore a backup. A new secret would not open the data of this box.` },
  seed: {
    signature: (p: { from: string }) => `The seed from ${p.from} is refused, because site.sig does not fit site.toml. Bring both as they were signed.`,
    site: (p: { from: string }) => `The site file from ${p.from} has mistakes. They stand here in English:`,
    stick: 'The stick SALLYPORT cannot be read. Format it as FAT32 with the label SALLYPORT and copy site.toml onto it.',
    driver: 'This box cannot read sticks now. Start it again.',
    unread: (p: { file: string }) => `${p.file} cannot be read. Copy it once more, or take another stick.`,
    large: (p: { file: string; kib: string }) => `${p.file} has more than ${p.kib} KiB. It is not the file that belongs there.`,
  },
  site: {
    none: 'There is no site file. Bring one on a stick with the label SALLYPORT. Until then only this page answers.',
    file: 'The site file has mistakes. They stand here in English:',
  },
  authority: { given: 'A certificate that you brought is not in use. The reason stands here in English:' },
  recovery: {
    write: 'Write down the recovery key on the screen of the box and type two of its groups there. Until then each start makes a new one.',
    confirm: 'A recovery key was shown, and nobody has said that it is written down. Type the whole key at the screen of the box once.',
    tpm: 'The security chip does not open the disk, so no recovery key can be made. Type the earlier key at the start, then seal the disk again.',
    recipient: 'The site file names no good recipient for the copy of the recovery key. Mend [recovery] recipient.',
  },
  clock: {
    behind: (p: { now: string; seen: string }) => `The clock says ${p.now}, but this box has seen ${p.seen} already. Set the clock in the firmware, or let it reach a time server.`,
    unchecked: 'No time server was reached, so nobody has checked the clock. The box goes by its own.',
  },
  link: { silent: 'Booking does not answer.' },
  roster: {
    refused: 'The roster of the seed was refused. Hand in a better one on the staff pages.',
    waits: 'The roster of the seed waits until your facility is set up.',
  },
};
