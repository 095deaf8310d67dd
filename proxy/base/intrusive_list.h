// A doubly linked list whose links live in the elements: no allocation, O(1) removal from anywhere.
// The list owns nothing; an element leaves its list when it is destroyed.
#pragma once

#include <cstddef>

#include "proxy/base/check.h"

namespace sluice::base {

template <typename Tag>
class ListNode {
 public:
  ListNode() = default;
  ListNode(const ListNode&) = delete;
  ListNode& operator=(const ListNode&) = delete;
  ~ListNode() { unlink(); }

  bool linked() const { return next_ != nullptr; }
  void unlink() {
    if (!linked()) return;
    previous_->next_ = next_;
    next_->previous_ = previous_;
    next_ = previous_ = nullptr;
  }

 private:
  template <typename, typename>
  friend class IntrusiveList;
  ListNode* next_ = nullptr;
  ListNode* previous_ = nullptr;
};

// T derives from ListNode<Tag>; one Tag per list that a T can be in at the same time.
template <typename T, typename Tag>
class IntrusiveList {
 public:
  using Node = ListNode<Tag>;

  IntrusiveList() { head_.next_ = head_.previous_ = &head_; }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;
  ~IntrusiveList() {
    while (!empty()) front()->Node::unlink();
    head_.next_ = head_.previous_ = nullptr;
  }

  bool empty() const { return head_.next_ == &head_; }
  T* front() { return empty() ? nullptr : owner(head_.next_); }
  T* back() { return empty() ? nullptr : owner(head_.previous_); }
  void push_back(T& element) { insert_before(&head_, element); }
  void push_front(T& element) { insert_before(head_.next_, element); }
  T* pop_front() {
    T* element = front();
    if (element) static_cast<Node*>(element)->unlink();
    return element;
  }
  // Calls f on each element; f may unlink the element that it is given, and no other.
  template <typename F>
  void for_each(F&& f) {
    for (Node* node = head_.next_; node != &head_;) {
      Node* next = node->next_;
      f(*owner(node));
      node = next;
    }
  }
  // Moves all elements of `other` to the end of this list.
  void splice_back(IntrusiveList& other) {
    while (T* element = other.pop_front()) push_back(*element);
  }

 private:
  static T* owner(Node* node) { return static_cast<T*>(node); }
  void insert_before(Node* place, T& element) {
    Node* node = static_cast<Node*>(&element);
    SLUICE_CHECK(!node->linked());
    node->next_ = place;
    node->previous_ = place->previous_;
    place->previous_->next_ = node;
    place->previous_ = node;
  }

  Node head_;
};

}  // namespace sluice::base
