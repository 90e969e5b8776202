import type { components } from "./schema";

type Schemas = components["schemas"];

export type Session = Schemas["Session"];
export type KnowledgeBase = Schemas["KnowledgeBase"];
export type Grant = Schemas["Grant"];
export type GrantRole = Schemas["GrantRole"];
export type Document = Schemas["Document"];
export type DocumentVersion = Schemas["DocumentVersion"];
export type VersionState = Schemas["VersionState"];
export type DocumentNote = Schemas["DocumentNote"];
export type Passage = Schemas["Passage"];
export type SafetyCategory = Schemas["Category"];
export type Region = Schemas["Region"];
export type SearchMode = Schemas["SearchMode"];
export type FoundPassage = Schemas["FoundPassage"];
export type Conversation = Schemas["Conversation"];
export type ConversationDetail = Schemas["ConversationDetail"];
export type Answer = Schemas["Answer"];
export type AnswerMode = Schemas["AnswerMode"];
export type Feedback = Schemas["Feedback"];
export type NewFeedback = Schemas["NewFeedback"];
export type Fault = Schemas["Fault"];
export type AnswerProblem = Schemas["AnswerProblem"];
export type Citation = Schemas["Citation"];
export type Receipt = Schemas["Receipt"];
export type Sentence = Schemas["Sentence"];
export type ApiKey = Schemas["ApiKey"];
export type ApiKeyScope = Schemas["ApiKeyScope"];
export type Approval = Schemas["Approval"];
export type Case = Schemas["Case"];
export type Hold = Schemas["Hold"];
export type HoldScope = Schemas["HoldScope"];
export type NewHold = Schemas["NewHold"];
export type RetentionRule = Schemas["RetentionRule"];
export type RetentionChange = Schemas["RetentionChange"];
export type RetentionKind = Schemas["Kept"];
export type CaseState = Schemas["CaseState"];
export type CaseKind = Schemas["CaseKind"];
export type ApprovalState = Schemas["ApprovalState"];
export type TrainingRun = Schemas["TrainingRun"];
export type TrainingState = Schemas["TrainingState"];
export type TrainingEvent = Schemas["TrainingEvent"];
export type TrainingDataset = Schemas["TrainingDataset"];
export type TrainingMethod = Schemas["TrainingMethod"];
export type NewTrainingRun = Schemas["NewTrainingRun"];
export type ModelInfo = Schemas["ModelInfo"];

export type { AnswerEvent, Phase } from "./events";

/** One page of a listing; `next_cursor` is null on the last. */
export interface Page<T> {
  items: T[];
  next_cursor?: string | null;
}
