import { ActionIcon, Center, Container, Loader } from "@mantine/core";
import { useDisclosure, useHotkeys } from "@mantine/hooks";
import { IconMenu2, IconSearch } from "@tabler/icons-react";
import { Link, Outlet, useLocation, useRouter } from "@tanstack/react-router";
import { Suspense, lazy, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useSession } from "@/features/session/hooks/useSession";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { SideSheet } from "@/ui/SideSheet";
import { Seal } from "@/ui/Seal";
import { Sidebar } from "./Sidebar";
import classes from "./SignedInShell.module.css";

const Palette = lazy(() => import("@/features/palette/components/Palette"));

/** Everything that needs a session. A stranger is sent to the login page and back here afterwards. */
export function SignedInShell() {
  const session = useSession();
  const [wasSignedIn, setWasSignedIn] = useState(false);
  if (session.data && !wasSignedIn) setWasSignedIn(true);
  if (session.data) return <Frame />;
  if (session.data === null) return <ToLogin isExpired={wasSignedIn} />;
  if (session.error) {
    return (
      <Container size="xs" py={80}>
        <ProblemAlert error={session.error} onRetry={() => void session.refetch()} />
      </Container>
    );
  }
  return (
    <Center h="100%">
      <Loader />
    </Center>
  );
}

/** Leave for the login page, once, from whatever address was asked for. */
function ToLogin({ isExpired }: { isExpired: boolean }) {
  const router = useRouter();
  useEffect(() => {
    const next = router.history.location.href;
    void router.navigate({ to: "/login", search: { next, expired: isExpired || undefined }, replace: true });
  }, [router, isExpired]);
  return null;
}

function Frame() {
  const { t } = useTranslation();
  const [isMenuOpen, menu] = useDisclosure();
  const palette = usePalette();
  const { pathname } = useLocation();
  const main = useRef<HTMLElement>(null);
  const closeMenu = menu.close;
  useEffect(closeMenu, [pathname, closeMenu]);
  return (
    <div className={classes.frame}>
      <a href="#main" className={classes.skip} onClick={() => main.current?.focus()}>
        {t("app.skip")}
      </a>
      <header className={classes.bar}>
        <ActionIcon
          variant="subtle"
          color="gray"
          size="lg"
          aria-label={t("nav.openMenu")}
          onClick={menu.open}
        >
          <IconMenu2 size={20} />
        </ActionIcon>
        <Link to="/" className={classes.brand}>
          <Seal size={24} />
          {t("app.name")}
        </Link>
        <ActionIcon
          variant="subtle"
          color="gray"
          size="lg"
          aria-label={t("nav.palette")}
          onClick={palette.open}
        >
          <IconSearch size={19} />
        </ActionIcon>
      </header>
      <div className={classes.side}>
        <Sidebar onPalette={palette.open} />
      </div>
      <SideSheet label={t("common.menu")} side="left" size="300px" opened={isMenuOpen} onClose={menu.close}>
        <Sidebar onPalette={palette.open} onClose={menu.close} />
      </SideSheet>
      <main id="main" ref={main} tabIndex={-1} className={classes.main}>
        <Outlet />
      </main>
      {palette.isLoaded && (
        <Suspense>
          <Palette />
        </Suspense>
      )}
    </div>
  );
}

/** Load the palette when it is first asked for, and open it. */
function usePalette() {
  const [isLoaded, setLoaded] = useState(false);
  const open = () => {
    setLoaded(true);
    void import("@/features/palette/components/Palette").then(({ openPalette }) => openPalette());
  };
  useHotkeys([["mod+K", open]], [], true);
  return { isLoaded, open };
}
