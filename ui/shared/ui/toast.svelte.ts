// Short words after an act. They stay until the next one or until closed: a
// slow reader must not race a timer.
class Toast {
  text = $state('');
  tone = $state<'ok' | 'err' | 'info'>('ok');
  show(text: string, tone: 'ok' | 'err' | 'info' = 'ok') {
    this.text = text;
    this.tone = tone;
  }
  clear() {
    this.text = '';
  }
}
export const toast = new Toast();
