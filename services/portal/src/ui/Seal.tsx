import classes from "./Seal.module.css";

/** The product's mark: an open book cut into a seal. Decorative; the name stands beside it. */
export function Seal({ size = 28 }: { size?: number }) {
  return (
    <svg className={classes.seal} width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect x="1.5" y="1.5" width="29" height="29" rx="6" />
      <path d="M8 9.500c3-1 6-.6 8 1.200 2-1.800 5-2.200 8-1.200v13c-3-1-6-.6-8 1.200-2-1.800-5-2.200-8-1.200zM16 10.700v13" />
    </svg>
  );
}
