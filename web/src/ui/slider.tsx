import { useId } from "preact/hooks";

interface SliderProps {
  readonly name: string;
  /** What it is of, where there are several of the name: said to those who do not see where it stands. */
  readonly of?: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  /** The value in words. */
  readonly text: string;
  readonly disabled?: boolean;
  readonly onChange: (value: number) => void;
}

export function Slider({ name, of, value, min, max, step, text, disabled = false, onChange }: SliderProps) {
  const id = useId();
  return (
    <div class="slider">
      <div class="slider-name">
        <label for={id}>
          {name}
          {of !== undefined && <span class="hidden">{` of ${of}`}</span>}
        </label>
        <output for={id}>{text}</output>
      </div>
      <input
        id={id}
        type="range"
        min={min}
        max={max}
        step={step}
        value={value}
        disabled={disabled}
        aria-valuetext={text}
        onInput={({ currentTarget }) => onChange(currentTarget.valueAsNumber)}
      />
    </div>
  );
}
