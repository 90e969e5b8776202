import { Drawer } from "@mantine/core";
import type { ReactNode } from "react";
import classes from "./SideSheet.module.css";

interface Props {
  label: string;
  side: "left" | "right";
  size: string;
  opened: boolean;
  onClose: () => void;
  children: ReactNode;
}

/** A dialogue that comes in from a side, for what stands beside the page where there is room. */
export function SideSheet({ label, side, size, opened, onClose, children }: Props) {
  return (
    <Drawer.Root opened={opened} onClose={onClose} position={side} size={size} padding={0}>
      <Drawer.Overlay />
      <Drawer.Content aria-label={label}>
        <Drawer.Body className={classes.body ?? ""}>{children}</Drawer.Body>
      </Drawer.Content>
    </Drawer.Root>
  );
}
