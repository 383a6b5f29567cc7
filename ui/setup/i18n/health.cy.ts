import { plural, type Like } from '../../shared/i18n/index.svelte.ts';
import type en from './health.en.ts';

const waiting = (n: number) => (n === 0 ? '' : plural('cy', n, { one: ' Mae 1 newid yn aros.', other: ` Mae ${n} newid yn aros.` }));

export default {
  from: { stick: 'y cof bach SALLYPORT', firmware: 'y cadarnwedd' },
  database: { ok: (p) => `Mae’n ateb mewn ${p.ms} ms.`, silent: 'Nid yw’n ateb.' },
  setup: { done: (p) => `Mae’r blwch hwn ar gyfer ${p.name}.`, missing: 'Nid yw eich cyfleuster wedi’i osod eto.' },
  administrator: { there: 'Mae un.', none: 'Nid oes neb wedi hawlio’r blwch hwn eto. Mae’r cod ar ei sgrin.' },
  gateway: {
    spoke: (p) => plural('cy', p.n, { one: 'Siaradodd 1 eiliad yn ôl.', other: `Siaradodd ${p.n} eiliad yn ôl.` }),
    quiet: (p) => `Mae’n dawel ers ${p.since}.`,
    never: 'Nid yw wedi siarad ers i’r gwasanaeth trefnu gychwyn.',
  },
  sync: {
    alone: 'Mae’r blwch hwn yn gweithio ar ei ben ei hun. Nid oes canolfan wedi’i gosod.',
    'wait-link': (p) => `Mae’n aros am y gwasanaeth trefnu.${waiting(p.n)}`,
    connecting: (p) => `Mae’n cysylltu â’r ganolfan.${waiting(p.n)}`,
    handshake: (p) => `Mae’n gwneud yn siŵr mai’r ganolfan yw hi.${waiting(p.n)}`,
    resync: (p) => `Mae’n cymharu pob cofnod â’r ganolfan.${waiting(p.n)}`,
    live: (p) => `Cysylltiad â’r ganolfan.${waiting(p.n)}`,
    paused: (p) => `Mae anfon i’r ganolfan wedi’i oedi.${waiting(p.n)}`,
    recovery: (p) => `Mae’r blwch hwn yn rhedeg o gopi hŷn. Rhaid i’r ganolfan ei adael yn ôl i mewn.${waiting(p.n)}`,
    withdrawn: (p) => `Mae’r ganolfan wedi tynnu mynediad y safle hwn yn ôl.${waiting(p.n)}`,
    incompatible: (p) => `Nid yw fersiynau’r ganolfan a’r blwch hwn yn cyd-fynd.${waiting(p.n)}`,
    away: (p) => `Mae’r rhan sy’n siarad â’r ganolfan yn dawel.${waiting(p.n)}`,
  },
  disk: {
    free: (p) => `Mae ${p.percent}% yn rhydd.`,
    unmeasured: 'Ni ellir ei mesur.',
    full: 'Mae’r ddisg yn llawn. Rhaid cael gwared ar recordiadau a diweddariadau nad oes eu hangen. Yna ailgychwynnwch y blwch.',
    missing: (p) => `Nid oes rhaniad ${p.name} ar unrhyw ddisg yn y blwch hwn.`,
    twice: (p) => `Mae gan ddwy ddisg raniad ${p.name}: ${p.disks}. Tynnwch yr un nad yw’n perthyn i’r blwch hwn, ac ailgychwynnwch ef.`,
    apart: (p) => `Mae’r data ar y ddisg ${p.data} a’r system ar ${p.system}. Mae’r ddau’n perthyn ar un ddisg.`,
  },
  boot: { done: (p) => `Mae ${p.n} o ${p.of} rhan wedi’u gwneud.`, unread: 'Ni ellir darllen ei ganlyniadau.' },
  phase: { blocked: (p) => `Mae’n aros am y rhan hon, a aeth o’i lle: ${p.needs}.`, failed: 'Aeth o’i le. Dywed sgrin y blwch, yn Saesneg:' },
  secrets: { damaged: (p) => `Mae’r gyfrinach ${p.name} wedi’i difrodi. Adferwch gopi wrth gefn. Ni fyddai cyfrinach newydd yn agor data’r blwch hwn.` },
  seed: {
    signature: (p) => `Gwrthodwyd yr had o ${p.from}, am nad yw site.sig yn cyd-fynd â site.toml. Dewch â’r ddau fel y’u llofnodwyd.`,
    site: (p) => `Mae gwallau yn ffeil y safle o ${p.from}. Maen nhw yma yn Saesneg:`,
    stick: 'Ni ellir darllen y cof bach SALLYPORT. Fformatiwch ef yn FAT32 gyda’r label SALLYPORT a chopïwch site.toml arno.',
    driver: 'Ni all y blwch hwn ddarllen cofion bach nawr. Ailgychwynnwch ef.',
    unread: (p) => `Ni ellir darllen ${p.file}. Copïwch ef unwaith eto, neu defnyddiwch gof bach arall.`,
    large: (p) => `Mae gan ${p.file} fwy na ${p.kib} KiB. Nid dyna’r ffeil sy’n perthyn yno.`,
  },
  site: {
    none: 'Nid oes ffeil safle. Dewch ag un ar gof bach gyda’r label SALLYPORT. Tan hynny dim ond y dudalen hon sy’n ateb.',
    file: 'Mae gwallau yn ffeil y safle. Maen nhw yma yn Saesneg:',
  },
  authority: { given: 'Nid yw tystysgrif a ddaethoch chi â hi ar waith. Mae’r rheswm yma yn Saesneg:' },
  recovery: {
    write: 'Ysgrifennwch yr allwedd adfer sydd ar sgrin y blwch a theipiwch ddau o’i grwpiau yno. Tan hynny mae pob cychwyn yn gwneud un newydd.',
    confirm: 'Dangoswyd allwedd adfer, ac nid oes neb wedi dweud ei bod wedi’i hysgrifennu. Teipiwch yr allwedd gyfan unwaith wrth sgrin y blwch.',
    tpm: 'Nid yw’r sglodyn diogelwch yn agor y ddisg, felly ni ellir gwneud allwedd adfer. Teipiwch yr allwedd flaenorol wrth gychwyn, yna seliwch y ddisg eto.',
    recipient: 'Nid yw ffeil y safle yn enwi derbynnydd da ar gyfer copi’r allwedd adfer. Cywirwch [recovery] recipient.',
  },
  clock: {
    behind: (p) => `Mae’r cloc yn dweud ${p.now}, ond mae’r blwch hwn wedi gweld ${p.seen} yn barod. Gosodwch y cloc yn y cadarnwedd, neu gadewch iddo gyrraedd gweinydd amser.`,
    unchecked: 'Ni chyrhaeddwyd gweinydd amser, felly nid oes neb wedi gwirio’r cloc. Mae’r blwch yn dilyn ei gloc ei hun.',
  },
  link: { silent: 'Nid yw’r gwasanaeth trefnu yn ateb.' },
  roster: {
    refused: 'Gwrthodwyd rhestr carcharorion yr had. Cyflwynwch un well ar dudalennau’r staff.',
    waits: 'Mae rhestr carcharorion yr had yn aros nes bod eich cyfleuster wedi’i osod.',
  },
} satisfies Like<typeof en>;
