import { plural, type Like } from '../../shared/i18n/index.svelte.ts';
import type en from './health.en.ts';

const waiting = (n: number) => (n === 0 ? '' : plural('es', n, { one: ' 1 cambio en espera.', other: ` ${n} cambios en espera.` }));

export default {
  from: { stick: 'la memoria USB SALLYPORT', firmware: 'el firmware' },
  database: { ok: (p) => `Responde en ${p.ms} ms.`, silent: 'No responde.' },
  setup: { done: (p) => `Este equipo es de ${p.name}.`, missing: 'Su centro aún no está configurado.' },
  administrator: { there: 'Hay uno.', none: 'Nadie ha reclamado aún este equipo. El código está en su pantalla.' },
  gateway: {
    spoke: (p) => plural('es', p.n, { one: 'Dio señales hace 1 segundo.', other: `Dio señales hace ${p.n} segundos.` }),
    quiet: (p) => `No da señales desde: ${p.since}.`,
    never: 'No ha dado señales desde que se inició el servicio de reservas.',
  },
  sync: {
    alone: 'Este equipo trabaja por su cuenta. No hay ninguna central configurada.',
    'wait-link': (p) => `Espera al servicio de reservas.${waiting(p.n)}`,
    connecting: (p) => `Está conectando con la central.${waiting(p.n)}`,
    handshake: (p) => `Está comprobando que es la central.${waiting(p.n)}`,
    resync: (p) => `Está comparando todos los registros con la central.${waiting(p.n)}`,
    live: (p) => `Conectado con la central.${waiting(p.n)}`,
    paused: (p) => `El envío a la central está en pausa.${waiting(p.n)}`,
    recovery: (p) => `Este equipo funciona con una copia anterior. La central debe volver a admitirlo.${waiting(p.n)}`,
    withdrawn: (p) => `La central ha retirado el acceso de esta sede.${waiting(p.n)}`,
    incompatible: (p) => `La central y este equipo tienen versiones que no encajan.${waiting(p.n)}`,
    away: (p) => `La parte que habla con la central no da señales.${waiting(p.n)}`,
  },
  disk: {
    free: (p) => `Queda libre el ${p.percent} %.`,
    unmeasured: 'No se puede medir.',
    full: 'El disco está lleno. Hay que quitar grabaciones y actualizaciones que no hagan falta. Después, reinicie el equipo.',
    missing: (p) => `No hay ninguna partición ${p.name} en los discos de este equipo.`,
    twice: (p) => `Dos discos tienen una partición ${p.name}: ${p.disks}. Saque el que no es de este equipo y reinícielo.`,
    apart: (p) => `Los datos están en el disco ${p.data} y el sistema en ${p.system}. Ambos deben estar en un solo disco.`,
  },
  boot: { done: (p) => `${p.n} de ${p.of} partes están hechas.`, unread: 'No se pueden leer sus resultados.' },
  phase: { blocked: (p) => `Espera a esta parte, que ha fallado: ${p.needs}.`, failed: 'Ha fallado. La pantalla del equipo dice, en inglés:' },
  secrets: { damaged: (p) => `El secreto ${p.name} está dañado. Restaure una copia de seguridad. Un secreto nuevo no abriría los datos de este equipo.` },
  seed: {
    signature: (p) => `Se rechaza la semilla de ${p.from}, porque site.sig no corresponde a site.toml. Traiga los dos tal como se firmaron.`,
    site: (p) => `El archivo del centro de ${p.from} tiene errores. Aquí están, en inglés:`,
    stick: 'No se puede leer la memoria USB SALLYPORT. Dele formato FAT32 con la etiqueta SALLYPORT y copie en ella site.toml.',
    driver: 'Este equipo no puede leer memorias USB ahora. Reinícielo.',
    unread: (p) => `No se puede leer ${p.file}. Cópielo otra vez o use otra memoria USB.`,
    large: (p) => `${p.file} ocupa más de ${p.kib} KiB. No es el archivo que corresponde.`,
  },
  site: {
    none: 'No hay archivo del centro. Traiga uno en una memoria USB con la etiqueta SALLYPORT. Hasta entonces solo responde esta página.',
    file: 'El archivo del centro tiene errores. Aquí están, en inglés:',
  },
  authority: { given: 'Un certificado que usted trajo no se usa. El motivo está aquí, en inglés:' },
  recovery: {
    write: 'Anote la clave de recuperación que muestra la pantalla del equipo y escriba allí dos de sus grupos. Hasta entonces, cada arranque crea una nueva.',
    confirm: 'Se mostró una clave de recuperación y nadie ha dicho que esté anotada. Escriba una vez la clave entera en la pantalla del equipo.',
    tpm: 'El chip de seguridad no abre el disco, así que no se puede crear una clave de recuperación. Escriba la clave anterior al arrancar y vuelva a sellar el disco.',
    recipient: 'El archivo del centro no indica un buen destinatario para la copia de la clave de recuperación. Corrija [recovery] recipient.',
  },
  clock: {
    behind: (p) => `El reloj marca ${p.now}, pero este equipo ya ha visto ${p.seen}. Ponga el reloj en hora en el firmware o deje que llegue a un servidor de hora.`,
    unchecked: 'No se llegó a ningún servidor de hora, así que nadie ha comprobado el reloj. El equipo se guía por el suyo.',
  },
  link: { silent: 'El servicio de reservas no responde.' },
  roster: {
    refused: 'Se rechazó la lista de internos de la semilla. Entregue una mejor en las páginas del personal.',
    waits: 'La lista de internos de la semilla espera hasta que su centro esté configurado.',
  },
} satisfies Like<typeof en>;
