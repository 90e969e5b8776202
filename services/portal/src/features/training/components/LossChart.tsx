import { LineChart } from "@mantine/charts";
import "@mantine/charts/styles.layer.css";
import { Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { Point } from "../lib/curve";

const HEIGHT_PX = 260;

/** The loss over the steps, and the reward where the method has one. Said in words too, for who cannot see it. */
export function LossChart({ points, steps }: { points: Point[]; steps: number | null }) {
  const { t } = useTranslation();
  const first = points[0];
  const last = points.at(-1);
  if (!first || !last) return null;
  const hasReward = points.some(({ reward }) => reward !== null);
  const said = t("training.curve", {
    count: last.step,
    first: first.loss.toFixed(3),
    last: last.loss.toFixed(3),
  });
  return (
    <figure style={{ margin: 0 }}>
      <div aria-hidden data-testid="loss-chart">
        <LineChart
          h={HEIGHT_PX}
          data={points as unknown as Record<string, unknown>[]}
          dataKey="step"
          series={[
            { name: "loss", label: t("training.loss"), color: "pine.6" },
            ...(hasReward
              ? [{ name: "reward", label: t("training.reward"), color: "cinnabar.6", yAxisId: "right" }]
              : []),
          ]}
          withRightYAxis={hasReward}
          withDots={points.length < 2}
          withLegend={hasReward}
          curveType="linear"
          tickLine="none"
          strokeWidth={2}
          lineChartProps={{ accessibilityLayer: false }}
          xAxisProps={{ type: "number", domain: [0, steps ?? "dataMax"], allowDecimals: false }}
          valueFormatter={(value) => value.toFixed(3)}
        />
      </div>
      <Text component="figcaption" size="sm" c="dimmed" mt="xs">
        {said}
      </Text>
    </figure>
  );
}
