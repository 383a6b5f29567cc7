export { coming, fullName, look, type Look } from '../../shared/ui/visit-look.ts';
