// Short words after an act. They stay while their page does and long enough
// for a slow reader, and go with the next page: they must not lie over a call.
const moment = 2_000;
const long = 20_000;

class Toast {
  text = $state('');
  tone = $state<'ok' | 'err' | 'info'>('ok');
  private at = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  show(text: string, tone: 'ok' | 'err' | 'info' = 'ok') {
    this.text = text;
    this.tone = tone;
    this.at = performance.now();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.clear(), long);
  }
  /** Another page is shown; words that were said on the way to it stay. */
  moved() {
    if (performance.now() - this.at > moment) this.clear();
  }
  clear() {
    clearTimeout(this.timer);
    this.text = '';
  }
}
export const toast = new Toast();
